// The verb `log stat`: what a log holds, in a screenful.

import type { Command } from 'commander';
import { type StatReport, statLog } from '../log/tools/stat.ts';
import { Engine } from '../wasm/engine.ts';
import {
  exitCodeOf,
  motionLines,
  noteRunning,
  progressBar,
  quoted,
  reading,
  refuseLoss,
} from './offline.ts';
import { colorsFor, emit, note } from './output.ts';
import { wholeNumber } from './target.ts';

const HELP = `
Reads the log twice and says how large it is, what is in it, what of that still waits, which buckets
hold most of it, and which bucket's message keeps the oldest segment. With --json one JSON object;
numbers of 64 bits are strings. Of a running broker it counts what there was when it looked.

Examples:
  thrustmq log stat --data-dir ./data
  thrustmq log stat --top 50 --json

Exit codes: 0 fine (also with a torn tail), 1 damaged or missing, 74 it cannot be read,
78 written by another format version.`;

const TOP = 10;

interface StatOptions {
  dataDir: string;
  json?: boolean;
  top: number;
}

/** Adds `log stat`. */
export function registerLogStat(log: Command, dataDir: string): void {
  log
    .command('stat')
    .description('sum up what the log holds and which buckets wait')
    .option('-d, --data-dir <DIR>', 'data folder of the broker', dataDir)
    .option('-t, --top <N>', 'how many buckets to name', wholeNumber, TOP)
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP)
    .action((options: StatOptions) => stat(options));
}

async function stat({ dataDir, json, top }: StatOptions): Promise<void> {
  const running = noteRunning(dataDir);
  refuseLoss(dataDir);
  const bar = progressBar();
  const report = await reading(dataDir, (files) =>
    statLog(files, new Engine(), { top, progress: bar.update }),
  ).finally(bar.stop);
  process.exitCode = exitCodeOf(report);
  await emit(json ? `${JSON.stringify({ ...report, running })}\n` : statText(report));
  if (process.exitCode !== 0)
    note(
      `not all of the log can be read; for more run: thrustmq log verify --data-dir ${quoted(dataDir)}`,
    );
}

function statText(report: StatReport): string {
  const { segments, live, buckets, oldest, epochs, time, leftovers, foreign, unneeded } = report;
  const { red } = colorsFor(process.stdout);
  const number = (value: number) => value.toLocaleString('en-US');
  const lines: [string, string][] = [];
  if (report.verdict === 'damaged') lines.push(['log', red('DAMAGED: this is what can be read')]);
  else if (report.unknownVersion || report.unreadable) lines.push(['log', red('NOT WHOLLY READ')]);
  const range = segments.oldest === null ? '' : `, ${segments.oldest} to ${segments.newest}`;
  lines.push(['segments', `${number(segments.count)}, ${number(segments.bytes)} bytes${range}`]);
  lines.push(['batches', number(report.batches)]);
  lines.push(['records', number(report.records)]);
  lines.push([
    'messages',
    `${number(report.messages)}, ${number(report.payloadBytes)} bytes of payload`,
  ]);
  lines.push(['live', `${number(live.messages)}, ${number(live.bytes)} bytes of payload`]);
  const more = buckets.more ? 'more than ' : '';
  lines.push(['buckets', `${more}${number(buckets.live)} with live messages`]);
  for (const { bucket, messages, bytes } of buckets.top)
    lines.push(['', `${bucket}: ${number(messages)} messages, ${number(bytes)} bytes`]);
  if (oldest !== null)
    lines.push([
      'oldest',
      `sequence ${oldest.sequence} of bucket ${oldest.bucket} at ${oldest.position} keeps ${oldest.segment}`,
    ]);
  lines.push(['epochs', `${epochs.first} to ${epochs.last}, ${number(epochs.starts)} starts`]);
  if (time.first !== null) lines.push(['time', `${time.first} to ${time.last}`]);
  for (const name of unneeded) lines.push(['unneeded', `${name} was given back`]);
  for (const name of leftovers) lines.push(['leftover', `${name}: the next start removes it`]);
  for (const name of foreign) lines.push(['foreign', `${name} is not part of the log`]);
  for (const text of motionLines(report)) lines.push(['moved', text]);
  return lines.map(([what, text]) => `${what.padEnd(9)} ${text}\n`).join('');
}
