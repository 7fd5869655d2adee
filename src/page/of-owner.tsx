// On a node that follows: a sentence in the place of what only the owner of the log has.

import { ownerHref } from './cluster-words.ts';
import { useLive } from './store.ts';

interface Props {
  /** What the screen shows all the same, with its verb: "Segments are". */
  what: string;
  /** What it cannot show. */
  more: string;
}

/** Nothing where the broker is this one. */
export function OfOwner({ what, more }: Props) {
  const { cluster } = useLive();
  if (cluster === undefined || cluster.serves) return null;
  const { owner } = cluster;
  if (owner === null)
    return <p class="hint">No node owns the log now: there is nobody to ask for {more}.</p>;
  const href = ownerHref(owner.dashboard);
  return (
    <p class="hint">
      {what} those of node {owner.node}, which owns the log; {more} are on{' '}
      {href === undefined ? 'its dashboard, if it has one' : <a href={href}>its dashboard</a>}.
    </p>
  );
}
