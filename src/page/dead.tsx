// Dead messages: which buckets have some and why they died, and how many died since the start.

import { useEffect, useState } from 'preact/hooks';
import type { BucketPage, BucketRow } from '../contract/commands.ts';
import { ageOf, readyOf } from './columns.tsx';
import { count } from './format.ts';
import { OfOwner } from './of-owner.tsx';
import { Pager } from './pager.tsx';
import { type Column, Complaint, Facts, Panel, Table, Value } from './parts.tsx';
import { ReasonsText } from './reasons.tsx';
import { hrefOf } from './route.ts';
import { useLive, usePolled } from './store.ts';
import type { Overview } from './types.ts';

const ROWS = 50;
const PERIOD_MS = 2000;
const ORDERS = { backlog: 'most dead', age: 'oldest message', id: 'id' };

const COLUMNS: Column<BucketRow>[] = [
  {
    head: 'Bucket',
    cell: ({ id }) => (
      <a class="id" href={hrefOf('dead', id)}>
        {id}
      </a>
    ),
  },
  { head: 'Dead', isNumber: true, cell: (row) => <Value text={readyOf(row)} /> },
  { head: 'Oldest', isNumber: true, isMinor: true, cell: ageOf },
  { head: 'Why', cell: ({ id, dead }) => <ReasonsText id={id} dead={dead} /> },
];

export function DeadScreen() {
  const { overview } = useLive();
  const [sort, setSort] = useState('backlog');
  // Cursors of the pages before this one: the way back.
  const [cursors, setCursors] = useState<string[]>([]);
  useEffect(() => setCursors([]), [sort]);
  const query = new URLSearchParams({ sort, limit: `${ROWS}` });
  if (cursors.length > 0) query.set('cursor', cursors.at(-1)!);
  const { data, problem } = usePolled<BucketPage>(`/dead?${query}`, PERIOD_MS);
  const next = data?.cursor ?? undefined;
  const kept = overview?.buckets.dead;
  return (
    <>
      <Panel
        title="Dead messages"
        aside={<span class="muted">{count(kept ?? Number.NaN)} kept with their buckets</span>}
      >
        <form class="toolbar" onSubmit={(event) => event.preventDefault()}>
          <label>
            <span>Order</span>
            <select value={sort} onChange={(event) => setSort(event.currentTarget.value)}>
              {Object.entries(ORDERS).map(([name, label]) => (
                <option key={name} value={name}>
                  {label}
                </option>
              ))}
            </select>
          </label>
        </form>
        <Complaint problem={problem} />
        <List page={data} kept={kept} />
        {(cursors.length > 0 || next !== undefined) && (
          <Pager next={next} cursors={cursors} setCursors={setCursors} />
        )}
      </Panel>
      <OfOwner what="Those that died since the start" />
      {overview !== undefined && (
        <Panel title="Died since the start">
          <SinceStart overview={overview} />
        </Panel>
      )}
    </>
  );
}

function List({ page, kept }: { page: BucketPage | undefined; kept: number | undefined }) {
  if (page === undefined) return <p class="empty">Asking for the list …</p>;
  return (
    <>
      <Table
        label="Buckets with dead messages"
        columns={COLUMNS}
        rows={page.buckets.filter(({ dead, exact }) => dead > 0 || !exact)}
        keyOf={({ id }) => id}
        empty={kept === 0 ? 'Nothing is dead.' : 'No bucket is known yet that has some.'}
      />
      {page.more && kept !== 0 && (
        <p class="hint">
          What is on disk since before the start is looked for now and then: a count may be a few
          seconds old.
        </p>
      )}
    </>
  );
}

const NAMES: Record<string, string> = {
  maxDeliveries: 'Delivered too often',
  notMoved: 'Kept, as their target was full',
  redriven: 'Given back',
};

function SinceStart({ overview }: { overview: Overview }) {
  const nameOf = (key: string) => NAMES[key] ?? key.slice(0, 1).toUpperCase() + key.slice(1);
  const facts = Object.entries(overview.totals.dead).map(([key, many]): [string, string] => [
    nameOf(key),
    count(many),
  ]);
  return <Facts facts={facts} />;
}
