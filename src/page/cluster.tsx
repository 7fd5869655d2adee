// The nodes of the cluster as the owner told of them, the stream between them, what an ack means,
// who owned the log when, and a way to let another node own it.

import { useState } from 'preact/hooks';
import { type ClusterSnapshot, stateText, TAKEN_OVER, type TakeOver } from '../contract/cluster.ts';
import { clusterStatus, lagText, ownerHref, readinessOf, standbysOf } from './cluster-words.ts';
import { ago, bytes, count, milliseconds, NOTHING, percent } from './format.ts';
import { type Column, Facts, Foreign, Panel, Table, Tile } from './parts.tsx';
import { StepDownDialog } from './step-down.tsx';
import { useLive, useReadOnly } from './store.ts';

type Node = ClusterSnapshot['nodes'][number];

export function ClusterScreen() {
  const { cluster: data } = useLive();
  if (data === undefined)
    return (
      <Panel title="Cluster">
        <p class="empty">This broker is no node of a cluster.</p>
      </Panel>
    );
  const { level, text } = clusterStatus(data);
  return (
    <>
      <p class={`status ${level}`}>{text}</p>
      <Tiles data={data} />
      <Nodes data={data} />
      <div class="columns even">
        <Ack data={data} />
        <Stream data={data} />
      </div>
      <div class="columns even">
        <TakeOvers data={data} />
        <Counts data={data} />
      </div>
    </>
  );
}

function Tiles({ data }: { data: ClusterSnapshot }) {
  const { owner, self, nodes, stream, appends, counts } = data;
  const others = nodes.length - (owner === null ? 0 : 1);
  return (
    <dl class="tiles in-fives">
      <Tile label="Owner" text={owner === null ? 'none' : `node ${owner.node}`} />
      <Tile
        label="Would take over"
        text={count(standbysOf(data).length)}
        detail={`of ${count(others)} others`}
      />
      <Tile
        label="Stream"
        text={percent(stream.bytes, stream.maxBytes)}
        detail={`of ${bytes(stream.maxBytes)}`}
      />
      <Tile
        label="Append, 99 % within"
        text={appends === null ? NOTHING : milliseconds(appends.p99)}
        detail={appends === null ? 'measured on the owner' : 'until the stream confirms it'}
      />
      <Tile
        label="Changes of the owner"
        text={count(counts.takeOvers)}
        detail={`epoch ${count(self.epoch)}`}
      />
    </dl>
  );
}

const BADGES: Record<string, string> = { owning: 'note', following: '' };

function columnsOf(owner: number | undefined): Column<Node>[] {
  return [
    { head: 'Node', cell: (row) => <NodeName node={row} /> },
    {
      head: 'State',
      cell: (row) => (
        <span class={`badge ${BADGES[stateText(row)] ?? 'warn'}`}>{stateText(row)}</span>
      ),
    },
    { head: 'Epoch', isNumber: true, isMinor: true, cell: (row) => count(row.epoch) },
    { head: 'Behind', isNumber: true, cell: lagText },
    { head: 'Heard', isNumber: true, cell: (row) => ago(row.seenMs) },
    { head: 'Version', isMinor: true, cell: (row) => <Foreign text={row.version} /> },
    { head: 'Would take over', cell: (row) => <Foreign text={readinessOf(row, owner)} /> },
  ];
}

function NodeName({ node: { node, address, dashboard } }: { node: Node }) {
  const href = ownerHref(dashboard);
  return (
    <span title={address}>
      {href === undefined ? `node ${node}` : <a href={href}>node {node}</a>}
    </span>
  );
}

function Nodes({ data }: { data: ClusterSnapshot }) {
  const [asking, setAsking] = useState<'owner' | 'leader'>();
  const isReadOnly = useReadOnly();
  const rows = [...data.nodes].sort((a, b) => a.node - b.node);
  return (
    <Panel
      title="Nodes"
      aside={
        !isReadOnly && (
          <div class="buttons">
            <button type="button" class="small" onClick={() => setAsking('leader')}>
              Another leader of the stream …
            </button>
            <button type="button" class="small danger" onClick={() => setAsking('owner')}>
              Step down …
            </button>
          </div>
        )
      }
    >
      <Table
        label="Nodes"
        columns={columnsOf(data.owner?.node)}
        rows={rows}
        keyOf={({ node }) => String(node)}
        empty="No node has been heard of."
      />
      {asking !== undefined && (
        <StepDownDialog data={data} of={asking} onClose={() => setAsking(undefined)} />
      )}
    </Panel>
  );
}

function Ack({ data: { ack } }: { data: ClusterSnapshot }) {
  return (
    <Panel
      title="What an ack means"
      aside={
        <span class={`badge ${ack.safe ? '' : 'warn'}`}>{ack.safe ? 'as promised' : 'less'}</span>
      }
    >
      <p>
        What was acked is <Foreign text={ack.means} />.
      </p>
      {ack.warnings.length > 0 && (
        <ul>
          {ack.warnings.map((text) => (
            <li key={text}>
              <Foreign text={text} />
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function Stream({ data: { stream } }: { data: ClusterSnapshot }) {
  const share = percent(stream.bytes, stream.maxBytes);
  return (
    <Panel title="Stream">
      <meter
        class="bar"
        aria-label={`The stream is ${share} full`}
        max={stream.maxBytes}
        high={stream.maxBytes * 0.8}
        value={stream.bytes}
      />
      <Facts
        facts={[
          ['Used', `${bytes(stream.bytes)} of ${bytes(stream.maxBytes)}, ${share}`],
          ['Name', <Foreign key="n" text={stream.name} />],
          ['NATS', stream.connected ? 'reached' : 'not reached'],
          ['Led by', stream.leader === null ? 'no server' : <Foreign text={stream.leader} />],
          ['Messages', `${count(stream.first)} to ${count(stream.last)}`],
          ['Publishes', stream.blocked === null ? 'find room' : 'are refused'],
        ]}
      />
      {stream.blocked !== null && (
        <p class="complaint">
          <Foreign text={stream.blocked} />
        </p>
      )}
    </Panel>
  );
}

const OVER_COLUMNS: Column<TakeOver>[] = [
  { head: 'At', cell: ({ at }) => new Date(at).toLocaleString('en-GB') },
  { head: 'Node', isNumber: true, cell: ({ node }) => node },
  { head: 'Epoch', isNumber: true, cell: ({ epoch }) => count(epoch) },
  { head: 'Why', cell: ({ why }) => TAKEN_OVER[why] },
];

function TakeOvers({ data: { takeOvers, self } }: { data: ClusterSnapshot }) {
  return (
    <Panel
      title="Owners, the newest first"
      aside={<span class="muted">as node {self.node} saw it</span>}
    >
      <Table
        label="Changes of the owner"
        columns={OVER_COLUMNS}
        rows={takeOvers}
        keyOf={({ epoch }) => String(epoch)}
        empty="It has seen none since its start."
      />
    </Panel>
  );
}

function Counts({ data: { counts, passedOn, self } }: { data: ClusterSnapshot }) {
  return (
    <Panel title={`Node ${self.node} since its start`}>
      <Facts
        facts={[
          ['Appends in doubt', count(counts.doubts)],
          ['Times without deliveries', count(counts.suspensions)],
          ['Times that another took over from it', count(counts.deposed)],
          ['Messages of the stream that do not count', count(counts.voids)],
          ['Times that it built itself anew', count(counts.rebuilds)],
          ['Put into base objects', bytes(counts.baseBytes)],
          ['Clients passed on to the owner', count(passedOn.clients)],
        ]}
      />
    </Panel>
  );
}
