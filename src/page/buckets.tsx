// The list of buckets: a search by the beginning of the id, an order, pages. However many buckets
// there are, one page of rows is all that is asked for and drawn.

import { useEffect, useState } from 'preact/hooks';
import { BUCKET_SORTS, type BucketSort } from '../contract/commands.ts';
import { BUCKET_COLUMNS } from './columns.tsx';
import { count } from './format.ts';
import { Pager } from './pager.tsx';
import { Complaint, Panel, Table } from './parts.tsx';
import { go } from './route.ts';
import { useFollow, useKept, useLive } from './store.ts';

const ROWS = 50;
const SORT_LABELS: Record<BucketSort, string> = {
  backlog: 'largest backlog',
  age: 'oldest message',
  rate: 'busiest',
  id: 'id',
};

export function BucketsScreen() {
  const [sort, setSort] = useKept('sort', 'backlog');
  const [prefix, setPrefix] = useState('');
  // Cursors of the pages before this one: the way back.
  const [cursors, setCursors] = useState<string[]>([]);
  // Another list begins at its first page.
  useEffect(() => setCursors([]), [sort, prefix]);
  const cursor = cursors.at(-1);
  const wanted = BUCKET_SORTS.find((each) => each === sort) ?? 'backlog';
  useFollow({
    buckets: {
      sort: wanted,
      limit: ROWS,
      ...(prefix === '' ? {} : { prefix }),
      ...(cursor === undefined ? {} : { cursor }),
    },
  });
  const { buckets: page, problem } = useLive();
  const total =
    page === undefined ? '' : `${page.more ? 'at least ' : ''}${count(page.count)} known`;
  const next = page?.cursor ?? undefined;
  return (
    <Panel title="Buckets" aside={<span class="muted">{total}</span>}>
      <Search sort={wanted} setSort={setSort} prefix={prefix} setPrefix={setPrefix} />
      <Complaint problem={problem} />
      {page === undefined ? (
        <p class="empty">Asking for the list …</p>
      ) : (
        <Table
          label="Buckets"
          columns={BUCKET_COLUMNS}
          rows={page.buckets}
          keyOf={(row) => row.id}
          empty={
            prefix === ''
              ? 'There is no bucket yet: one begins with its first message.'
              : `No known bucket begins with ${prefix}.`
          }
        />
      )}
      <Pager next={next} cursors={cursors} setCursors={setCursors} />
    </Panel>
  );
}

interface SearchProps {
  sort: BucketSort;
  setSort: (sort: string) => void;
  prefix: string;
  setPrefix: (prefix: string) => void;
}

function Search({ sort, setSort, prefix, setPrefix }: SearchProps) {
  const [isWrong, setWrong] = useState(false);
  return (
    <form
      class="toolbar"
      onSubmit={(event) => {
        event.preventDefault();
        if (prefix !== '') go('buckets', prefix);
      }}
    >
      <label>
        <span>Id begins with</span>
        <input
          type="search"
          inputMode="numeric"
          autoComplete="off"
          placeholder="digits; Enter opens the bucket"
          maxLength={20}
          value={prefix}
          aria-invalid={isWrong}
          aria-describedby="search-help"
          onInput={(event) => {
            const text = event.currentTarget.value.trim();
            setWrong(!/^\d*$/.test(text));
            if (/^\d{0,20}$/.test(text)) setPrefix(text);
          }}
        />
      </label>
      <label>
        <span>Order</span>
        <select value={sort} onChange={(event) => setSort(event.currentTarget.value)}>
          {BUCKET_SORTS.map((each) => (
            <option key={each} value={each}>
              {SORT_LABELS[each]}
            </option>
          ))}
        </select>
      </label>
      <span id="search-help" class={isWrong ? 'complaint' : 'unseen'}>
        {isWrong ? 'An id is digits only.' : 'Enter opens the bucket of that id.'}
      </span>
    </form>
  );
}
