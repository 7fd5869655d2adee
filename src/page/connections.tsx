// Who is connected: producers and consumers, how quick they are, when they were heard last.

import { useRef, useState } from 'preact/hooks';
import type { ConnectionSnapshot } from '../contract/snapshot.ts';
import { ago, bytes, count, NOTHING, plural, rate } from './format.ts';
import { OfOwner } from './of-owner.tsx';
import { Pager } from './pager.tsx';
import {
  BucketLink,
  type Column,
  Complaint,
  Dialog,
  Foreign,
  Panel,
  Table,
  Value,
} from './parts.tsx';
import { change } from './request.ts';
import { useLive, usePolled, useReadOnly } from './store.ts';
import type { Problem } from './types.ts';

const ROWS = 100;
const PERIOD_MS = 1000;

interface Answer {
  connections: ConnectionSnapshot[];
  cursor: string | null;
  intake: number;
  exhaust: number;
}

type Row = ConnectionSnapshot & { rate: number };

export function ConnectionsScreen() {
  const { cluster } = useLive();
  if (cluster?.serves !== false) return <OwnConnections />;
  return (
    <Panel title="Connections">
      <p>
        This node passes {plural(cluster.passedOn.clients, 'client')} on to the owner of the log.
      </p>
      <OfOwner what="All connections" />
    </Panel>
  );
}

function OwnConnections() {
  const [cursors, setCursors] = useState<string[]>([]);
  const [closing, setClosing] = useState<ConnectionSnapshot>();
  const [failed, setFailed] = useState<Problem>();
  const cursor = cursors.at(-1);
  const path = `/connections?limit=${ROWS}${cursor === undefined ? '' : `&cursor=${cursor}`}`;
  const { data, problem, refresh } = usePolled<Answer>(path, PERIOD_MS);
  const isReadOnly = useReadOnly();
  const rows = useRates(data);
  const next = data?.cursor ?? undefined;
  const close = async ({ id }: ConnectionSnapshot) => {
    setClosing(undefined);
    const result = await change('DELETE', `/connections/${id}`);
    setFailed(result.ok ? undefined : result.problem);
    refresh();
  };
  const columns = columnsOf(isReadOnly ? undefined : setClosing);
  const total =
    data === undefined
      ? ''
      : `${plural(data.intake, 'producer')}, ${plural(data.exhaust, 'consumer')}`;
  return (
    <Panel title="Connections" aside={<span class="muted">{total}</span>}>
      <Complaint problem={failed ?? problem} />
      {data === undefined ? (
        <p class="empty">Asking for the list …</p>
      ) : (
        <Table
          label="Connections"
          columns={columns}
          rows={rows}
          keyOf={(row) => String(row.id)}
          empty="Nobody is connected."
        />
      )}
      {(cursor !== undefined || next !== undefined) && (
        <Pager next={next} cursors={cursors} setCursors={setCursors} />
      )}
      {closing !== undefined && (
        <ConfirmClose
          row={closing}
          onClose={() => setClosing(undefined)}
          onConfirm={() => void close(closing)}
        />
      )}
    </Panel>
  );
}

/** Adds to each row how many messages it moved per second since the answer before. */
function useRates(data: Answer | undefined): Row[] {
  const before = useRef<{ data: Answer | undefined; atMs: number; counts: Map<number, number> }>({
    data: undefined,
    atMs: 0,
    counts: new Map(),
  });
  const rows = useRef<Row[]>([]);
  if (data !== undefined && data !== before.current.data) {
    const atMs = performance.now();
    const seconds = (atMs - before.current.atMs) / 1000;
    rows.current = data.connections.map((row) => {
      const count = before.current.counts.get(row.id);
      const grown = count === undefined ? Number.NaN : (row.messages - count) / seconds;
      return { ...row, rate: Math.max(0, grown) };
    });
    const counts = new Map(data.connections.map((row) => [row.id, row.messages]));
    before.current = { data, atMs, counts };
  }
  return rows.current;
}

function peerOf({ peer, via }: ConnectionSnapshot): string {
  return via === undefined ? peer : `${peer} via ${via}`;
}

function columnsOf(onClose: ((row: ConnectionSnapshot) => void) | undefined): Column<Row>[] {
  const columns: Column<Row>[] = [
    { head: 'Peer', cell: (row) => <Foreign text={peerOf(row)} /> },
    {
      head: 'Side',
      isMinor: true,
      cell: (row) => (row.side === 'intake' ? 'producer' : 'consumer'),
    },
    { head: 'Dialect', isMinor: true, cell: (row) => row.wire },
    { head: 'Name', isMinor: true, cell: (row) => <Foreign text={row.consumerId ?? NOTHING} /> },
    {
      head: 'Bucket',
      cell: (row) => (row.bucket === undefined ? NOTHING : <BucketLink id={row.bucket} />),
    },
    { head: 'Msg/s', isNumber: true, cell: (row) => <Value text={rate(row.rate)} /> },
    {
      head: 'In flight',
      isNumber: true,
      isMinor: true,
      cell: (row) => (row.unacked === undefined ? NOTHING : count(row.unacked)),
    },
    { head: 'Messages', isNumber: true, isMinor: true, cell: (row) => count(row.messages) },
    { head: 'Bytes', isNumber: true, isMinor: true, cell: (row) => bytes(row.bytes) },
    { head: 'Heard', isNumber: true, cell: (row) => ago(row.idleMs) },
  ];
  if (onClose === undefined) return columns;
  const close: Column<Row> = {
    head: 'Action',
    cell: (row) => (
      <button type="button" class="small" onClick={() => onClose(row)}>
        Close<span class="unseen"> connection {row.id}</span>
      </button>
    ),
  };
  return [...columns, close];
}

interface ConfirmProps {
  row: ConnectionSnapshot;
  onClose: () => void;
  onConfirm: () => void;
}

function ConfirmClose({ row, onClose, onConfirm }: ConfirmProps) {
  return (
    <Dialog title="Close this connection?" onClose={onClose}>
      <p>
        <Foreign text={row.peer} />
        {row.side === 'intake'
          ? ' is a producer: what was not acked to it, it has to send again.'
          : ' is a consumer: what it holds goes to others, marked as delivered before.'}{' '}
        It may connect again at once.
      </p>
      <div class="buttons">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" class="danger" onClick={onConfirm}>
          Close the connection
        </button>
      </div>
    </Dialog>
  );
}
