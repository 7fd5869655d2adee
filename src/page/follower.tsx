// The first screen of a node that does not own the log: what it is about, who owns it, and what
// comes from there all the same.

import type { ClusterView } from '../dashboard/messages.ts';
import { followerStatus, ownerHref } from './cluster-words.ts';
import { BUCKET_COLUMNS } from './columns.tsx';
import { bytes, count, milliseconds, NOTHING, percent } from './format.ts';
import { OfOwner } from './of-owner.tsx';
import { Panel, Table, Tile } from './parts.tsx';
import { hrefOf } from './route.ts';
import { useFollow, useLive } from './store.ts';

const SHOWN = 8;

export function FollowerScreen({ cluster }: { cluster: ClusterView }) {
  useFollow({ buckets: { sort: 'backlog', limit: SHOWN } });
  const { buckets } = useLive();
  const status = followerStatus(cluster);
  const rows = buckets?.buckets ?? [];
  return (
    <>
      <p class={`status ${status.level}`} role="status">
        {status.text}
      </p>
      <Tiles cluster={cluster} />
      <Panel title="Largest backlogs" aside={<a href={hrefOf('buckets')}>All buckets</a>}>
        <Table
          label="Buckets with the largest backlog"
          columns={BUCKET_COLUMNS}
          rows={rows.filter((row) => row.ready + row.unacked > 0).slice(0, SHOWN)}
          keyOf={(row) => row.id}
          empty="Nothing is known to wait in any bucket."
        />
        <OfOwner what="Rates, totals and charts" />
      </Panel>
    </>
  );
}

function Tiles({ cluster }: { cluster: ClusterView }) {
  const { self, owner, passedOn, resources } = cluster;
  const { rssBytes, budgetBytes, logBytes, diskFreeBytes } = resources;
  const href = ownerHref(owner?.dashboard ?? null);
  const { building } = self;
  return (
    <dl class="tiles in-fives">
      <Tile
        label="Owner"
        text={owner === null ? 'none' : `node ${owner.node}`}
        detail={`epoch ${count(self.epoch)}`}
        {...(href === undefined ? {} : { href })}
      />
      <Tile
        label="Behind"
        text={building === null ? count(self.lag) : percent(building.bytes, building.bytesTotal)}
        detail={building === null ? `messages, ${milliseconds(self.lagMs)}` : 'of it is here'}
        href={hrefOf('cluster')}
      />
      <Tile
        label="Passed on"
        text={count(passedOn.clients)}
        detail={`clients, ${bytes(passedOn.bytes)} under way`}
      />
      <Tile
        label="Disk"
        text={bytes(logBytes)}
        detail={diskFreeBytes === null ? NOTHING : `${bytes(diskFreeBytes)} free`}
      />
      <Tile
        label="Memory"
        text={bytes(rssBytes)}
        detail={`${percent(rssBytes, budgetBytes)} of ${bytes(budgetBytes)}`}
      />
    </dl>
  );
}
