// The first screen: whether all is well, the numbers that tell, and the last minutes as charts.

import { useRef, useState } from 'preact/hooks';
import { type Bound, Chart, KEYS_TEXT, type Line, resetZoom, useZoom } from './chart.tsx';
import { troubleOf } from './cluster-words.ts';
import { BUCKET_COLUMNS } from './columns.tsx';
import { bytes, count, duration, milliseconds, percent, rate } from './format.ts';
import type { LiveState } from './live.ts';
import { Facts, Panel, Table, Tile } from './parts.tsx';
import { hrefOf } from './route.ts';
import { live, useFollow, useLive } from './store.ts';
import type { Overview } from './types.ts';
import { msToFull, statusOf } from './words.ts';

const LARGEST = 20;
const SHOWN = 8;
const RANGES = [60, 300, 900];
const TREND_S = 300;

interface ChartOf {
  title: string;
  lines: Line[];
  format: (value: number) => string;
  isBytes?: boolean;
  boundOf?: (overview: Overview) => Bound | undefined;
}

const CHARTS: ChartOf[] = [
  {
    title: 'Messages/s',
    format: rate,
    lines: [
      { name: 'publishedRate', label: 'in', color: 1 },
      { name: 'deliveredRate', label: 'out', color: 2 },
      { name: 'ackedRate', label: 'acked', color: 3 },
    ],
  },
  {
    title: 'Bytes/s',
    format: bytes,
    isBytes: true,
    lines: [
      { name: 'publishedBytesRate', label: 'in', color: 1 },
      { name: 'deliveredBytesRate', label: 'out', color: 2 },
    ],
  },
  {
    title: 'Backlog',
    format: count,
    lines: [
      { name: 'ready', label: 'ready', color: 1 },
      { name: 'unacked', label: 'in flight', color: 2 },
    ],
  },
  {
    title: 'Latency',
    format: milliseconds,
    lines: [
      { name: 'publishMs', label: 'publish to ack', color: 1 },
      { name: 'deliveryMs', label: 'to delivery', color: 2 },
    ],
  },
  {
    title: 'Time of a commit',
    format: milliseconds,
    lines: [
      { name: 'syncMs', label: 'sync', color: 1 },
      { name: 'writeMs', label: 'write', color: 4 },
    ],
  },
  {
    title: 'Size of a commit',
    format: bytes,
    isBytes: true,
    lines: [{ name: 'commitBytes', label: 'mean', color: 3 }],
  },
  {
    title: 'Event-loop delay',
    format: milliseconds,
    lines: [{ name: 'loopMs', label: 'longest', color: 4 }],
  },
  {
    title: 'Memory',
    format: bytes,
    isBytes: true,
    lines: [{ name: 'rssBytes', label: 'resident', color: 2 }],
    boundOf: ({ memory }) =>
      memory.budgetBytes === undefined ? undefined : { label: 'budget', value: memory.budgetBytes },
  },
  {
    title: 'Disk',
    format: bytes,
    isBytes: true,
    lines: [{ name: 'diskBytes', label: 'log', color: 3 }],
  },
];

export function OverviewScreen({ theme }: { theme: string }) {
  useFollow({ buckets: { sort: 'backlog', limit: LARGEST } });
  const state = useLive();
  const { overview, buckets } = state;
  if (overview === undefined) return <p class="empty">Waiting for the first numbers …</p>;
  const largest = buckets?.buckets ?? [];
  return (
    <>
      <StatusLine state={state} overview={overview} />
      <Tiles overview={overview} />
      <Charts overview={overview} rows={state.rows} theme={theme} />
      <div class="columns">
        <Panel title="Largest backlogs" aside={<a href={hrefOf('buckets')}>All buckets</a>}>
          <Table
            label="Buckets with the largest backlog"
            columns={BUCKET_COLUMNS}
            rows={largest.filter((row) => row.ready + row.unacked > 0).slice(0, SHOWN)}
            keyOf={(row) => row.id}
            empty="Nothing waits in any bucket."
          />
        </Panel>
        <Panel title="Since the start">
          <Totals overview={overview} />
        </Panel>
      </div>
    </>
  );
}

function StatusLine({ state, overview }: { state: LiveState; overview: Overview }) {
  const rows = state.buckets?.buckets ?? [];
  const status = troubleOf(state.cluster) ?? statusOf(overview, rows, rows.length < LARGEST);
  // Read aloud when the state becomes another, not with every number in it.
  const said = useRef(status);
  if (said.current.level !== status.level) said.current = status;
  return (
    <>
      <p class={`status ${status.level}`}>{status.text}</p>
      <p class="unseen" role="status">
        {said.current.text}
      </p>
    </>
  );
}

function Tiles({ overview }: { overview: Overview }) {
  const { rates, buckets, totals, connections, memory, log } = overview;
  const budget = memory.budgetBytes;
  return (
    <dl class="tiles in-fives">
      <Tile
        label="In"
        text={rate(rates.publishedMessages)}
        unit="msg/s"
        detail={`${bytes(rates.publishedBytes)}/s`}
      />
      <Tile
        label="Out"
        text={rate(rates.deliveredMessages)}
        unit="msg/s"
        detail={`${bytes(rates.deliveredBytes)}/s`}
      />
      <Tile
        label="Ready"
        text={count(buckets.ready)}
        detail={`in ${count(buckets.count)} buckets`}
        href={hrefOf('buckets')}
      />
      <Tile label="In flight" text={count(buckets.unacked)} detail="delivered, not acked" />
      <Tile label="Later" text={count(buckets.delayed)} detail="wait for their time" />
      <Tile
        label="Dead"
        text={count(buckets.dead)}
        detail="kept with their buckets"
        href={hrefOf('dead')}
      />
      <Tile label="Redelivered" text={count(totals.redeliveredMessages)} detail="since the start" />
      <Tile
        label="Connections"
        text={count(connections.intake + connections.exhaust)}
        detail={`${count(connections.intake)} in, ${count(connections.exhaust)} out`}
        href={hrefOf('connections')}
      />
      <Tile
        label="Disk"
        text={bytes(log.diskBytes)}
        detail={diskDetail(overview)}
        href={hrefOf('log')}
      />
      <Tile
        label="Memory"
        text={bytes(memory.rssBytes)}
        detail={
          budget === undefined
            ? `buffers ${percent(memory.bufferedBytes, memory.bufferBytesMax)} full`
            : `${percent(memory.rssBytes, budget)} of ${bytes(budget)}`
        }
      />
    </dl>
  );
}

function diskDetail({ log }: Overview): string | undefined {
  const free = log.diskFreeBytes;
  if (free === null || free === undefined) return undefined;
  const [times = [], used = []] = live.series.columns(['diskBytes'], TREND_S);
  const points = times.map((time, i): [number, number] => [time * 1000, used[i]!]);
  const fullMs = msToFull(points, free);
  const left = `${bytes(free)} free`;
  return fullMs === undefined ? left : `${left}, full in ${duration(fullMs)}`;
}

interface ChartsProps {
  overview: Overview;
  rows: number;
  theme: string;
}

function Charts({ overview, rows, theme }: ChartsProps) {
  const [seconds, setSeconds] = useState(300);
  const zoom = useZoom();
  return (
    <Panel
      title="Last minutes"
      aside={
        <div class="choice">
          {zoom !== undefined && (
            <button type="button" onClick={resetZoom}>
              Reset zoom
            </button>
          )}
          {RANGES.map((range) => (
            <button
              key={range}
              type="button"
              aria-pressed={range === seconds}
              onClick={() => {
                resetZoom();
                setSeconds(range);
              }}
            >
              {range / 60} min
            </button>
          ))}
        </div>
      }
    >
      <div class="charts">
        {CHARTS.map(({ boundOf, ...chart }) => (
          <Chart
            key={chart.title}
            {...chart}
            bound={boundOf?.(overview)}
            series={live.series}
            seconds={seconds}
            rows={rows}
            theme={theme}
          />
        ))}
      </div>
      <p class="hint" id={KEYS_TEXT}>
        Drag over a chart to zoom all of them, double-click to see all again; or with the keys{' '}
        <kbd>+</kbd> <kbd>−</kbd> <kbd>←</kbd> <kbd>→</kbd> and <kbd>Esc</kbd> on a chart.
      </p>
      <ZoomSaid zoom={zoom} />
    </Panel>
  );
}

/** What is shown after a change of the zoom, for those who do not see it. */
function ZoomSaid({ zoom }: { zoom: ReturnType<typeof useZoom> }) {
  const first = useRef(true);
  if (zoom !== undefined) first.current = false;
  const time = (seconds: number) => new Date(seconds * 1000).toLocaleTimeString('en-GB');
  const text =
    zoom === undefined
      ? 'The charts show all of the time.'
      : `The charts show ${time(zoom.min)} to ${time(zoom.max)}.`;
  return (
    <p class="unseen" role="status">
      {first.current ? '' : text}
    </p>
  );
}

function Totals({ overview }: { overview: Overview }) {
  const { totals, commits } = overview;
  const refused = Object.values(totals.refused).reduce((sum, many) => sum + many, 0);
  const facts: [string, string][] = [
    ['Published', count(totals.publishedMessages)],
    ['Delivered', count(totals.deliveredMessages)],
    ['Acked', count(totals.ackedMessages)],
    ['Redelivered', count(totals.redeliveredMessages)],
    ['Acked as failed', count(totals.failedMessages)],
    ['Refused', count(refused)],
    ['Purged', count(totals.purgedMessages)],
    ['Protocol errors', count(totals.protocolErrors)],
    ['Commits', count(commits.count)],
    ['Sync, 99 % within', milliseconds(commits.syncMs.p99)],
  ];
  return <Facts facts={facts} />;
}
