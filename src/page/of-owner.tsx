// On a node that follows: a sentence in the place of what only the owner of the log has.

import { ownerHref } from './cluster-words.ts';
import { useLive } from './store.ts';

/** `what` is on the dashboard of the owner; nothing where the broker is this one. */
export function OfOwner({ what }: { what: string }) {
  const { cluster } = useLive();
  if (cluster === undefined || cluster.serves) return null;
  const { owner } = cluster;
  if (owner === null)
    return <p class="hint">{what} are with the owner, and no node owns the log.</p>;
  const href = ownerHref(owner.dashboard);
  const name = `the dashboard of node ${owner.node}`;
  return (
    <p class="hint">
      {what} are on {href === undefined ? name : <a href={href}>{name}</a>}, which owns the log.
    </p>
  );
}
