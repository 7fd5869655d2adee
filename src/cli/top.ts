// The verb `top`: a running broker on one screen, drawn again each second; q ends it. Without a
// terminal it prints one frame.

import { type Command, Option } from 'commander';
import { BUCKET_SORTS, type BucketPage } from '../contract/commands.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import { formatDuration, formatSize } from '../core/text/units.ts';
import { after, cancel, type Timer } from '../time/timers.ts';
import { bucketTable } from './bucket.ts';
import { Dashboard, type DashboardTarget } from './dashboard.ts';
import { CliError, colorsFor, emit } from './output.ts';
import { count } from './tables.ts';
import { addTargetOptions, durationMs } from './target.ts';

const EXAMPLES = `
Keys: q or Ctrl-C ends it.

Examples:
  thrustmq top                          the broker on this machine
  thrustmq top --sort age               the buckets that wait longest first
  thrustmq top --json                   one frame for a program`;

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const REST_OF_LINE = '\x1b[K';
const REST_OF_SCREEN = '\x1b[J';
/** Lines of a frame beside its buckets: numbers above, and the frame of the table. */
const LINES_AROUND = 10;
const ROWS_USUAL = 20;
const SPARK = '▁▂▃▄▅▆▇█';
const SPARK_SECONDS = 60;

interface Options extends DashboardTarget {
  json?: boolean;
  sort: string;
  interval: number;
}

type Overview = Omit<Snapshot, 'config'>;

interface Frame {
  overview: Overview;
  buckets: BucketPage;
  history: { series: string[]; rows: number[][] };
}

/** Adds `top`. */
export function registerTop(program: Command): void {
  const command = program.command('top').description('watch a running broker');
  addTargetOptions(command, 'dashboard')
    .addOption(
      new Option('-s, --sort <ORDER>', 'order of the buckets')
        .choices(BUCKET_SORTS)
        .default('backlog'),
    )
    .option('-i, --interval <TIME>', 'time between two frames', durationMs, 1000)
    .option('--json', 'one frame as one line of JSON')
    .addHelpText('after', EXAMPLES)
    .action(top);
}

async function top(options: Options): Promise<void> {
  const isTerminal = process.stdout.isTTY === true && !options.json;
  if (!isTerminal) {
    const frame = await fetchFrame(options, ROWS_USUAL);
    await emit(options.json ? `${JSON.stringify(frame)}\n` : `${linesOf(frame).join('\n')}\n`);
    return;
  }
  await watch(options);
}

async function fetchFrame(options: Options, rows: number): Promise<Frame> {
  // Found anew each time: a broker that starts again may have other ports.
  const dashboard = new Dashboard(options);
  const query = `sort=${options.sort}&limit=${rows}`;
  const [overview, buckets, history] = await Promise.all([
    dashboard.get('/api/v1/overview'),
    dashboard.get(`/api/v1/buckets?${query}`),
    dashboard.get(`/api/v1/history?seconds=${SPARK_SECONDS}`),
  ]);
  return { overview, buckets, history } as Frame;
}

async function watch(options: Options): Promise<void> {
  const { stdin, stdout } = process;
  let wake = () => {};
  let ended = false;
  const end = () => {
    ended = true;
    wake();
  };
  const onKey = (key: Buffer) => {
    // Keys that were pressed quickly come together.
    if (/[qQ\x03]/.test(String(key))) end();
  };
  if (stdin.isTTY) stdin.setRawMode(true).on('data', onKey);
  process.once('SIGINT', end).once('SIGTERM', end);
  const onResize = () => wake();
  stdout.on('resize', onResize);
  try {
    await emit(ENTER);
    while (!ended) {
      await emit(await screen(options, stdout.rows ?? ROWS_USUAL + LINES_AROUND));
      if (ended) break; // while the frame was fetched
      let timer: Timer | undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
        timer = after(Math.max(100, options.interval), resolve);
      });
      cancel(timer);
    }
  } finally {
    stdout.off('resize', onResize);
    process.off('SIGINT', end).off('SIGTERM', end);
    await emit(LEAVE).catch(() => {});
    if (stdin.isTTY) stdin.setRawMode(false).off('data', onKey).pause();
  }
}

async function screen(options: Options, rows: number): Promise<string> {
  let lines: string[];
  try {
    const room = Math.max(1, Math.min(100, rows - LINES_AROUND));
    lines = linesOf(await fetchFrame(options, room)).slice(0, rows - 1);
  } catch (error) {
    // A broker that starts again is found again.
    if (!(error instanceof CliError)) throw error;
    lines = [error.message];
  }
  return HOME + lines.map((line) => `${line}${REST_OF_LINE}\n`).join('') + REST_OF_SCREEN;
}

function linesOf({ overview, buckets, history }: Frame): string[] {
  const color = colorsFor(process.stdout);
  const { rates, log, connections, commits, memory, totals } = overview;
  const refused = Object.values(totals.refused).reduce((sum, value) => sum + value, 0);
  const spark = (name: string) => sparkline(history, name);
  return [
    color.bold(`ThrustMQ ${overview.version}`) +
      `  up ${formatDuration(overview.uptimeMs)}, log ${log.state}, sync ${log.sync}, ` +
      `${connections.intake} producers, ${connections.exhaust} consumers`,
    ...(overview.warning ? [color.yellow(`warning: ${overview.warning}`)] : []),
    `in    ${count(rates.publishedMessages).padStart(12)}/s  ${spark('publishedRate')}`,
    `out   ${count(rates.ackedMessages).padStart(12)}/s  ${spark('ackedRate')}`,
    `ready ${count(overview.buckets.ready).padStart(12)}    ${spark('ready')}`,
    `unacked ${count(overview.buckets.unacked)}, refused ${count(refused)}, ` +
      `redelivered ${count(totals.redeliveredMessages)}; ${formatSize(log.diskBytes)} on disk, ` +
      `${formatSize(memory.rssBytes)} resident; sync p50 ${commits.syncMs.p50} ms, ` +
      `p99 ${commits.syncMs.p99} ms`,
    ...bucketTable(buckets.buckets).split('\n'),
  ];
}

/** A row of bars for one series, the newest at its end; its largest value is a full bar. */
export function sparkline(history: Frame['history'], name: string): string {
  const column = history.series.indexOf(name) + 1;
  const values = history.rows.map((row) => row[column] ?? 0);
  const most = Math.max(1, ...values);
  return values.map((value) => SPARK[Math.round((value / most) * (SPARK.length - 1))]).join('');
}
