// The log on disk: its segments as a strip with what lives in each, what keeps the oldest, and what
// the last recovery found.

import type { SegmentRow } from '../contract/commands.ts';
import { bytes, count, milliseconds, percent, plural } from './format.ts';
import { OfOwner } from './of-owner.tsx';
import { BucketLink, type Column, Complaint, Facts, Panel, Table } from './parts.tsx';
import { useLive, usePolled } from './store.ts';
import type { Overview } from './types.ts';

// A strip is as wide as the screen: more segments than this are summed up in groups.
const BARS_MAX = 160;
const ROWS_SHOWN = 30;
const PERIOD_MS = 2000;

interface Answer {
  segments: SegmentRow[];
  cursor: string | null;
  count: number;
}

const COLUMNS: Column<SegmentRow>[] = [
  { head: 'Begins at', cell: (row) => row.base },
  { head: 'Size', isNumber: true, cell: (row) => bytes(row.bytes) },
  { head: 'Messages', isNumber: true, cell: (row) => count(row.messages) },
  { head: 'Live', isNumber: true, cell: (row) => count(row.live) },
  { head: 'Live share', isNumber: true, cell: (row) => percent(row.live, row.messages) },
  { head: 'State', cell: (row) => row.state },
  { head: '', cell: (row) => (row.pinned ? <span class="badge note">oldest live</span> : '') },
];

export function LogScreen() {
  const { cluster } = useLive();
  if (cluster?.serves !== false) return <OwnLog />;
  return (
    <Panel title="Segments">
      <OfOwner what="Segments, disk and the last recovery" />
    </Panel>
  );
}

function OwnLog() {
  const { data, problem } = usePolled<Answer>('/segments?limit=1000', PERIOD_MS);
  const { overview } = useLive();
  const total = data === undefined ? '' : plural(data.count, 'segment');
  return (
    <>
      <Panel title="Segments" aside={<span class="muted">{total}</span>}>
        <Complaint problem={problem} />
        {data !== undefined && <Strip segments={data.segments} />}
        {data !== undefined && (
          <Table
            label="Segments"
            columns={COLUMNS.map((column) => ({ ...column, head: column.head || 'Mark' }))}
            rows={data.segments.slice(-ROWS_SHOWN).reverse()}
            keyOf={(row) => row.base}
            empty="There is no segment."
          />
        )}
        {data !== undefined && data.segments.length > ROWS_SHOWN && (
          <p class="hint">The table holds the newest {ROWS_SHOWN}; the strip holds all.</p>
        )}
      </Panel>
      {overview !== undefined && <Storage overview={overview} />}
    </>
  );
}

interface Bar {
  key: string;
  live: number;
  messages: number;
  isPinned: boolean;
  isOpen: boolean;
  title: string;
}

function barsOf(segments: SegmentRow[]): Bar[] {
  const size = Math.ceil(segments.length / BARS_MAX);
  const bars: Bar[] = [];
  for (let at = 0; at < segments.length; at += size) {
    const group = segments.slice(at, at + size);
    const sum = (of: (row: SegmentRow) => number) => group.reduce((all, row) => all + of(row), 0);
    const [live, messages] = [sum((row) => row.live), sum((row) => row.messages)];
    bars.push({
      key: group[0]!.base,
      live,
      messages,
      isPinned: group.some(({ pinned }) => pinned),
      isOpen: group.some(({ state }) => state === 'open'),
      title: `from ${group[0]!.base}: ${count(live)} of ${count(messages)} messages live`,
    });
  }
  return bars;
}

const STRIP_HEIGHT = 56;
const BAR_WIDTH = 10;

function Strip({ segments }: { segments: SegmentRow[] }) {
  const bars = barsOf(segments);
  const pinned = segments.find((row) => row.pinned);
  const live = segments.reduce((all, row) => all + row.live, 0);
  const messages = segments.reduce((all, row) => all + row.messages, 0);
  const width = bars.length * BAR_WIDTH;
  return (
    <figure class="strip">
      <svg
        viewBox={`0 0 ${width} ${STRIP_HEIGHT}`}
        style={{ maxWidth: `${bars.length * 24}px` }}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${plural(segments.length, 'segment')}, oldest first: ${percent(live, messages)} live`}
      >
        {bars.map((bar, i) => (
          <StripBar key={bar.key} bar={bar} x={i * BAR_WIDTH} />
        ))}
      </svg>
      <figcaption>
        <span class="legend">
          <span class="swatch color-1" /> live <b>{percent(live, messages)}</b>
        </span>
        <span class="legend">
          <span class="swatch dead" /> settled
        </span>
        <span class="legend">
          <span class="swatch color-2" /> oldest with live messages
        </span>
        <span class="muted">oldest at the left</span>
        {pinned !== undefined && (
          <span class="muted">nothing from {pinned.base} on can be given back whole</span>
        )}
      </figcaption>
    </figure>
  );
}

function StripBar({ bar, x }: { bar: Bar; x: number }) {
  const share = bar.messages === 0 ? 0 : bar.live / bar.messages;
  const height = bar.live === 0 ? 0 : Math.max(2, share * STRIP_HEIGHT);
  const kind = bar.isPinned ? 'pinned' : 'live';
  return (
    <g>
      <title>{bar.title}</title>
      <rect
        class={bar.isOpen ? 'open' : 'dead'}
        x={x}
        width={BAR_WIDTH - 1}
        height={STRIP_HEIGHT}
      />
      <rect class={kind} x={x} y={STRIP_HEIGHT - height} width={BAR_WIDTH - 1} height={height} />
    </g>
  );
}

function Storage({ overview }: { overview: Overview }) {
  const { log, commits } = overview;
  const { recovery, oldest } = log;
  const free = log.diskFreeBytes;
  return (
    <div class="columns even">
      <Panel title="On disk">
        <Facts
          facts={
            [
              ['State', log.state],
              [
                'Synced',
                { commit: 'with each commit', interval: 'at intervals', none: 'never' }[log.sync],
              ],
              ['Used', bytes(log.diskBytes)],
              ...(log.liveBytes === undefined ? [] : [fact('Of it live', bytes(log.liveBytes))]),
              ...(free === null ? [] : [fact('Free on the disk', bytes(free))]),
              ['Size of a segment', bytes(log.segmentBytes)],
              ['Spare segments', count(log.spareSegments)],
              ['Written up to', log.endPosition],
              ['Durable up to', log.durablePosition],
              ['Mean commit', bytes(commits.bytes.mean)],
              ...(oldest === undefined
                ? []
                : [
                    ['Oldest message in', <BucketLink key="b" id={oldest.bucket} />] as [
                      string,
                      unknown,
                    ],
                  ]),
            ] as [string, string][]
          }
        />
      </Panel>
      <Panel title="Last recovery">
        <Facts
          facts={[
            ['Took', milliseconds(recovery.durationMs)],
            ['Segments', count(recovery.segments)],
            ['Records read', count(recovery.records)],
            ['Messages that waited', count(recovery.messages)],
            ['Cut off at the end', bytes(recovery.cutBytes)],
            ['Start number', count(log.epoch)],
          ]}
        />
        <p class="hint">
          {recovery.cutBytes === 0
            ? 'The log ended cleanly.'
            : 'What was cut off had been written but never acked: no acked message is in it.'}
        </p>
      </Panel>
    </div>
  );
}

function fact(name: string, value: string): [string, string] {
  return [name, value];
}
