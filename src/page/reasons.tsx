// Why the messages of a dead line died, by reason. That is read from the log, so it is asked for
// one bucket after the other, and again only when the number of the dead has changed.

import { useEffect, useRef, useState } from 'preact/hooks';
import type { DeadReasons } from '../contract/dead-messages.ts';
import { meaningOf, reasonsText, sortedReasons } from './dead-words.ts';
import { count, NOTHING, percent } from './format.ts';
import { type Column, Table } from './parts.tsx';
import { get } from './request.ts';

const AGAIN_MS = 5000;

// What is under way; who comes next waits for it.
let last: Promise<unknown> = Promise.resolve();

/** Counts of the first `limit` dead messages of a bucket that has so many. */
export function useReasons(id: string, dead: number, limit: number): DeadReasons | undefined {
  const [found, setFound] = useState<DeadReasons>();
  const askedMs = useRef(Number.NEGATIVE_INFINITY);
  useEffect(() => {
    let isOver = false;
    const ask = () => {
      askedMs.current = performance.now();
      last = last.then(async () => {
        if (isOver) return;
        const result = await get<DeadReasons>(`/buckets/${id}/dead/reasons?limit=${limit}`);
        if (!isOver && result.ok) setFound(result.data);
      });
    };
    const waitMs = Math.max(0, askedMs.current + AGAIN_MS - performance.now());
    const timer = setTimeout(ask, waitMs);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [id, dead, limit]);
  return found;
}

/** In a word or two, for a row of a list. */
export function ReasonsText({ id, dead }: { id: string; dead: number }) {
  const found = useReasons(id, dead, 100);
  if (found === undefined) return <span class="muted">{NOTHING}</span>;
  return (
    <span>
      {reasonsText(found.reasons)}
      {found.more && <span class="muted"> of the first {count(found.looked)}</span>}
    </span>
  );
}

interface Row {
  reason: string;
  many: number;
  all: number;
}

const COLUMNS: Column<Row>[] = [
  { head: 'Reason', cell: ({ reason }) => <span class="badge">{reason}</span> },
  { head: 'Messages', isNumber: true, cell: ({ many }) => count(many) },
  { head: 'Share', isNumber: true, cell: ({ many, all }) => percent(many, all) },
  {
    head: 'Meaning',
    isMinor: true,
    cell: ({ reason }) => meaningOf(reason) ?? <span class="muted">{NOTHING}</span>,
  },
];

export function ReasonsTable({ id, dead }: { id: string; dead: number }) {
  const found = useReasons(id, dead, 1000);
  if (found === undefined) return <p class="empty">Asking why they died …</p>;
  const { looked, more, reasons } = found;
  return (
    <>
      <Table
        label={`Why messages of bucket ${id} died`}
        columns={COLUMNS}
        rows={sortedReasons(reasons).map(([reason, many]) => ({ reason, many, all: looked }))}
        keyOf={({ reason }) => reason}
        empty="Nothing is dead here."
      />
      {more && <p class="hint">Of the first {count(looked)}, which are the oldest.</p>}
    </>
  );
}
