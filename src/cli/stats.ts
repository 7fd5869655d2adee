// The verb `stats`: the snapshot of a running broker, from its dashboard, as tables or JSON.

import type { Command } from 'commander';
import type { Snapshot } from '../contract/snapshot.ts';
import { formatDuration, formatSize } from '../core/text/units.ts';
import { sleep } from '../time/timers.ts';
import { Dashboard, type DashboardTarget } from './dashboard.ts';
import { CliError, colorsFor, EXIT, emit, endWithReader, note } from './output.ts';
import { count, newTable } from './tables.ts';
import { addTargetOptions, durationMs } from './target.ts';

const EXAMPLES = `
Examples:
  thrustmq stats                      the broker on this machine
  thrustmq stats --data-dir ./data    on the port that this broker has
  thrustmq stats --watch              again every second
  thrustmq stats --json | jq .totals`;

const BUCKETS_MAX = 20;
const CLEAR_SCREEN = '\x1b[H\x1b[2J';

interface StatsOptions extends DashboardTarget {
  json?: boolean;
  watch?: number | true;
}

/** Adds `stats`. */
export function registerStats(program: Command): void {
  const command = program.command('stats').description('show what a running broker does');
  addTargetOptions(command, 'dashboard')
    .option('-w, --watch [TIME]', 'show it again and again, by default every second', durationMs)
    .option('--json', 'the snapshot as one line of JSON')
    .addHelpText('after', EXAMPLES)
    .action(show);
}

async function show(options: StatsOptions): Promise<void> {
  // Found anew each time: a broker that starts again may have other ports.
  const fetchSnapshot = async () => snapshotFrom(await new Dashboard(options).get('/dash'));
  if (options.watch === undefined) {
    await emit(render(await fetchSnapshot(), options));
    return;
  }
  const everyMs = Math.max(100, options.watch === true ? 1000 : options.watch);
  const clear = process.stdout.isTTY && !options.json ? CLEAR_SCREEN : '';
  endWithReader();
  for (;;) {
    try {
      await emit(clear + render(await fetchSnapshot(), options));
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      note(`${clear}${error.message}`);
    }
    await sleep(everyMs);
  }
}

function snapshotFrom(body: unknown): Snapshot {
  if ((body as Partial<Snapshot>).totals !== undefined) return body as Snapshot;
  throw new CliError(EXIT.unreachable, 'it answered OK, but with no snapshot of a broker');
}

function render(snapshot: Snapshot, options: StatsOptions): string {
  if (options.json) return `${JSON.stringify(snapshot)}\n`;
  const color = colorsFor(process.stdout);
  const { log, connections, buckets } = snapshot;
  const lines = [
    color.bold(`ThrustMQ ${snapshot.version}`) +
      `  pid ${snapshot.pid}, up ${formatDuration(snapshot.uptimeMs)}, log ${log.state}, sync ${log.sync}`,
    ...(snapshot.warning ? [color.yellow(`warning: ${snapshot.warning}`)] : []),
    messages(snapshot),
    `${connections.intake} producers, ${connections.exhaust} consumers; ` +
      `${log.segments} segments, ` +
      `${formatSize(log.diskBytes)} on disk; ${formatSize(snapshot.memory.rssBytes)} of ${formatSize(snapshot.memory.budgetBytes)} memory; ` +
      `sync p50 ${snapshot.commits.syncMs.p50} ms, p99 ${snapshot.commits.syncMs.p99} ms`,
    `log ${formatSize(log.totalBytes)}, of it live ${formatSize(log.liveBytes)}, ` +
      `indexes ${formatSize(log.indexBytes)}; ` +
      `${count(log.compactions.count)} compactions wrote ` +
      `${formatSize(log.compactions.movedBytes)}; ` +
      `${count(log.coldReads.count)} cold reads of ${formatSize(log.coldReads.bytes)}`,
    ...(log.oldest ? [`the oldest message waits in bucket ${log.oldest.bucket}`] : []),
    `${buckets.exact ? '' : 'at least '}${count(buckets.count)} buckets: ` +
      `${count(buckets.ready)} ready, ${count(buckets.unacked)} unacked, ${count(buckets.delayed)} later`,
  ];
  if (buckets.top.length > 0) lines.push(longest(snapshot));
  return `${lines.join('\n')}\n`;
}

function messages({ rates, totals }: Snapshot): string {
  const refused = Object.values(totals.refused).reduce((sum, value) => sum + value, 0);
  const table = newTable(['', 'per second', 'in all']);
  table.push(
    ['published', count(rates.publishedMessages), count(totals.publishedMessages)],
    ['delivered', count(rates.deliveredMessages), count(totals.deliveredMessages)],
    ['acked', count(rates.ackedMessages), count(totals.ackedMessages)],
    ['redelivered', '', count(totals.redeliveredMessages)],
    ['refused', '', count(refused)],
  );
  return table.toString();
}

function longest({ buckets }: Snapshot): string {
  const table = newTable(['bucket', 'ready', 'unacked', 'later', 'consumers']);
  for (const { id, ready, unacked, delayed, consumers, exact } of buckets.top.slice(
    0,
    BUCKETS_MAX,
  )) {
    const waiting = `${exact ? '' : '≥ '}${count(ready)}`;
    table.push([id, waiting, count(unacked), count(delayed), count(consumers)]);
  }
  return table.toString();
}
