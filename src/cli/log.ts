// The verbs `log verify` and `log dump`, and where the other verbs of `log` are added: they look
// into a log, also of a running broker, open it for reading only, and need no lock.

import type { Command } from 'commander';
import { type DumpEntry, dumpLog, lineOf } from '../log/tools/dump.ts';
import { type BadRange, type VerifyReport, verifyLog } from '../log/tools/verify.ts';
import { Engine } from '../wasm/engine.ts';
import { registerLogRepair } from './log-repair.ts';
import { registerLogStat } from './log-stat.ts';
import {
  exitCodeOf,
  motionLines,
  noteRunning,
  progressBar,
  quoted,
  reading,
  refuseLoss,
} from './offline.ts';
import { CliError, colorsFor, EXIT, emit, endWithReader, note } from './output.ts';
import { bucketId, refuseMisspelled } from './target.ts';

const VERIFY_HELP = `
Reads every record of the log, says for each segment what is in it, and for each bad spot whether it
is a torn tail (never acked; the next start cuts it off) or damage to acked data. Beside a running
broker it looks again at whatever changed meanwhile: only what stands still is called damage.

Exit codes: 0 fine (also with a torn tail), 1 damaged or missing, 74 it cannot be read,
78 written by another format version.`;

const DUMP_HELP = `
Prints a line for each record: log position, type, flags, epoch, batch, and what it says. With
--json a JSON object a line; numbers of 64 bits are strings.

Examples:
  thrustmq log dump --data-dir ./data
  thrustmq log dump --bucket 42 --bodies
  thrustmq log dump --segment 00000000000067108864.log --json

Exit codes: 0 fine, 2 no such segment, 74 it cannot be read, 78 written by another format version.`;

interface VerifyOptions {
  dataDir: string;
  json?: boolean;
}

interface DumpOptions extends VerifyOptions {
  segment?: string;
  bucket?: bigint;
  bodies?: boolean;
}

/** Adds `log` with its verbs. */
export function registerLog(program: Command): void {
  const log = program.command('log').description('look into the log of a data folder');
  const dataDir = process.env.THRUSTMQ_DATA_DIR || './data';
  log.hook('preAction', (_, verb) => {
    if (verb.getOptionValueSource('dataDir') === 'default')
      refuseMisspelled(process.env, ['THRUSTMQ_DATA_DIR']);
  });
  log
    .command('verify')
    .description('check every byte of the log that was acked')
    .option('-d, --data-dir <DIR>', 'data folder of the broker', dataDir)
    .option('--json', 'print one JSON object')
    .addHelpText('after', VERIFY_HELP)
    .action((options: VerifyOptions) => verify(options));
  log
    .command('dump')
    .description('print the records of the log')
    .option('-d, --data-dir <DIR>', 'data folder of the broker', dataDir)
    .option('-s, --segment <NAME>', 'only this segment: its file name, or 0 for the oldest, 1 …')
    .option('-b, --bucket <ID>', 'only messages of this bucket', bucketId)
    .option('--bodies', 'with the bodies of messages: text, or base64 where they are none')
    .option('--json', 'print JSON lines')
    .addHelpText('after', DUMP_HELP)
    .action((options: DumpOptions) => dump(options));
  registerLogStat(log, dataDir);
  registerLogRepair(log, dataDir);
}

async function verify(options: VerifyOptions): Promise<void> {
  const running = noteRunning(options.dataDir);
  refuseLoss(options.dataDir);
  const bar = progressBar();
  const report = await reading(options.dataDir, (files) =>
    verifyLog(files, new Engine(), bar.update),
  ).finally(bar.stop);
  process.exitCode = exitCodeOf(report);
  await emit(
    options.json ? `${JSON.stringify({ ...report, running })}\n` : reportText(report, running),
  );
  if (report.verdict !== 'damaged') return;
  if (report.bad.length > 0 || report.missing.length > 0)
    note(
      `nothing was changed. Restore the files from a copy if there is one; to save what can still be read, run: thrustmq log repair --data-dir ${quoted(options.dataDir)} --into NEWDIR`,
    );
}

async function dump(options: DumpOptions): Promise<void> {
  noteRunning(options.dataDir);
  endWithReader();
  refuseLoss(options.dataDir);
  const { segment, bucket, bodies, json } = options;
  const text = (entry: DumpEntry) => `${json ? JSON.stringify(entry) : lineOf(entry)}\n`;
  const dumped = await reading(options.dataDir, (files) =>
    dumpLog(files, new Engine(), {
      ...(segment === undefined ? {} : { segment }),
      ...(bucket === undefined ? {} : { bucket }),
      ...(bodies === undefined ? {} : { bodies }),
      write: async (entries) => {
        for (let at = 0; at < entries.length; at += 1000)
          await emit(
            entries
              .slice(at, at + 1000)
              .map(text)
              .join(''),
          );
      },
    }),
  );
  if (dumped.segments === 0 && segment !== undefined)
    throw new CliError(EXIT.usage, `there is no segment ${segment} in ${options.dataDir}`);
  process.exitCode = exitCodeOf({ ...dumped, verdict: 'clean' });
}

function reportText(report: VerifyReport, running: boolean): string {
  const { segments, bad, missing, unneeded, leftovers, foreign } = report;
  const color = colorsFor(process.stdout);
  const lines: string[] = [];
  for (const { name, records, batches, messages, problems } of segments) {
    lines.push(`${name}  ${batches} batches, ${records} records, ${messages} messages`);
    for (const { text } of problems) lines.push(color.red(`  ${text.replace(`${name} `, '')}`));
    for (const range of bad)
      if (range.segment === name) lines.push(rangeText(range, running, color.red));
  }
  for (const { from, to } of missing)
    lines.push(color.red(`MISSING: log positions ${from} to ${to ?? 'the end'}`));
  for (const name of unneeded) lines.push(`${name} was given back; the next start removes it`);
  for (const name of leftovers) lines.push(`${name} is left over; the next start removes it`);
  for (const name of foreign) lines.push(`${name} is not part of the log`);
  lines.push(...motionLines(report));
  const counts = `${report.batches} batches, ${report.records} records, ${report.messages} messages in ${segments.length} segments`;
  const verdict = {
    clean: 'clean',
    torn: running ? 'clean, and being written' : 'clean, with a torn tail',
    damaged: 'DAMAGED',
  };
  const unknown = report.unknownVersion || report.unreadable;
  const word =
    unknown && report.verdict !== 'damaged' ? 'NOT WHOLLY READ' : verdict[report.verdict];
  lines.push(`${word}: ${counts}`);
  return `${lines.join('\n')}\n`;
}

function rangeText(range: BadRange, running: boolean, red: (text: string) => string): string {
  const { offset, bytes, position, fromSequence, toSequence, verdict } = range;
  const where = `  offset ${offset} (log position ${position}), ${bytes} bytes, sequences from ${fromSequence}`;
  const until = toSequence === null ? '' : ` to before ${toSequence}`;
  return verdict === 'torn'
    ? `${where}${until}: ${running ? 'being written' : 'torn tail'}, not acked`
    : red(`${where}${until}: DAMAGED`);
}
