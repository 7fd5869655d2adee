// The verb `log repair`: makes a new data folder of what a damaged log still holds. The old folder
// is only read, but for its lock. The new log has another name until it is complete and synced.

import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { NodeFiles } from '../io/files.ts';
import { isWithin, whyNotFresh } from '../io/fresh-folder.ts';
import { FolderLock, LockError } from '../io/lock.ts';
import { makeFolder, storageOf, syncFolder } from '../io/storage.ts';
import { LogError, type LogErrorCode } from '../log/files/errors.ts';
import { INCOMPLETE_FOLDER } from '../log/segments/segment.ts';
import {
  type DoubtfulBatch,
  type RepairReport,
  type RepairTarget,
  repairLog,
} from '../log/tools/repair.ts';
import { Engine } from '../wasm/engine.ts';
import { progressBar, quoted } from './offline.ts';
import { CliError, colorsFor, EXIT, emit, emitDone, note } from './output.ts';

const HELP = `
Takes every message that can still be read and is not settled, in order, with its sequence and its
count of deliveries, and writes a new log of them into NEWDIR, which must be empty or not exist. The
old folder is not changed. Says what was saved, what was lost, and what is doubtful: messages that
may be delivered twice. With --json one JSON object; numbers of 64 bits are strings.

No broker may run on either folder. NEWDIR needs space for what is saved and two segments. Until it
is complete, the new log is called log.incomplete: a repair that was cut off is begun anew, in
another folder.

What to do with the result: start the broker with --data-dir NEWDIR, and keep the old folder until
you are satisfied.

Examples:
  thrustmq log repair --data-dir ./data --dry-run
  thrustmq log repair --data-dir ./data --into ./repaired
  thrustmq serve --data-dir ./repaired

Exit codes: 0 all that can be read was saved, 1 there is nothing to save, 2 NEWDIR cannot be used,
74 a folder cannot be read or written, 75 a broker has a folder, 78 written by another format
version.`;

const EXITS: Record<LogErrorCode, number> = {
  damaged: EXIT.failed,
  missing: EXIT.failed,
  io: EXIT.disk,
  lost: EXIT.disk,
  other: EXIT.config,
  version: EXIT.config,
};

interface RepairOptions {
  dataDir: string;
  into?: string;
  dryRun?: boolean;
  json?: boolean;
}

/** Adds `log repair`. */
export function registerLogRepair(log: Command, dataDir: string): void {
  log
    .command('repair')
    .description('save what a damaged log still holds into a new data folder')
    .option('-d, --data-dir <DIR>', 'data folder with the damaged log; it is not changed', dataDir)
    .option('-i, --into <NEWDIR>', 'new data folder')
    .option('-n, --dry-run', 'only say what could be saved')
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP)
    .action((options: RepairOptions) => repair(options));
}

async function repair(options: RepairOptions): Promise<void> {
  const { dataDir, dryRun, json } = options;
  const into = options.into ?? '';
  if (into === '' && !dryRun)
    throw new CliError(
      EXIT.usage,
      'say where the new data folder goes: --into NEWDIR, or --dry-run to only look',
    );
  if (!fs.existsSync(path.join(dataDir, 'log')))
    throw new CliError(EXIT.disk, `there is no log in ${dataDir}`);
  if (into !== '') await refuseUsed(dataDir, into);
  const releases = [lockOld(dataDir)];
  try {
    if (!dryRun) releases.push(makeNew(into));
    const report = await run(dataDir, dryRun ? undefined : into);
    const color = colorsFor(process.stdout);
    const say = dryRun ? emit : emitDone;
    await say(json ? `${JSON.stringify(report)}\n` : reportText(report, color.red, color.yellow));
    if (dryRun) note('nothing was written');
    else
      note(
        `Start the broker on the new folder: thrustmq serve --data-dir ${quoted(into)}\nKeep ${dataDir} until you are satisfied: it was not changed`,
      );
  } finally {
    for (const release of releases.reverse()) release();
  }
}

// Throws CliError 2 unless the folder is empty or absent, and outside of the old one.
async function refuseUsed(dataDir: string, into: string): Promise<void> {
  if (await isWithin(dataDir, into))
    throw new CliError(EXIT.usage, `${into} is in ${dataDir}, which repair does not change`);
  let names: string[] = [];
  try {
    names = fs.readdirSync(into);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw new CliError(EXIT.usage, `${into} cannot be used: ${message}`);
  }
  const why = whyNotFresh(into, names);
  if (why !== undefined) throw new CliError(EXIT.usage, why);
}

function lockOld(dataDir: string): () => void {
  try {
    return lockFolder(dataDir);
  } catch (error) {
    // No broker runs on a folder that nobody can write to.
    if ((error as NodeJS.ErrnoException).code !== 'EROFS') throw error;
    return () => {};
  }
}

function lockFolder(folder: string): () => void {
  const holder = { pid: process.pid, verb: 'log repair', since: new Date() };
  try {
    const lock = new FolderLock(folder, `${JSON.stringify(holder)}\n`);
    return () => lock.release();
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    if (code === 'EROFS') throw error;
    if (!(error instanceof LockError))
      throw new CliError(EXIT.disk, `${folder} cannot be locked: ${message}`);
    throw error.held
      ? new CliError(EXIT.locked, `${folder} is in use: ${message}. Stop the broker on it first`)
      : new CliError(EXIT.config, `${folder} cannot be locked: ${message}. Install one of them`);
  }
}

function makeNew(into: string): () => void {
  try {
    const { pseudo } = storageOf(path.resolve(into));
    if (pseudo !== undefined)
      throw new CliError(
        EXIT.config,
        `${into} is on a pseudo file system (${pseudo}), which keeps no files: choose another`,
      );
    makeFolder(path.resolve(into));
    return lockFolder(into);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(EXIT.disk, `${into} cannot be made: ${(error as Error).message}`);
  }
}

async function run(dataDir: string, into: string | undefined): Promise<RepairReport> {
  const bar = progressBar(into === undefined ? 'reading' : 'saving');
  const codec = new Engine();
  const unfinished = into === undefined ? undefined : path.join(into, INCOMPLETE_FOLDER);
  try {
    const old = new NodeFiles(path.join(dataDir, 'log'), true);
    const target = unfinished === undefined ? undefined : targetIn(unfinished);
    const report = await repairLog(old, codec, target, bar.update);
    if (into !== undefined && unfinished !== undefined) {
      fs.renameSync(unfinished, path.join(into, 'log'));
      syncFolder(into);
    }
    return report;
  } catch (error) {
    const { message, syscall } = error as NodeJS.ErrnoException;
    const begun = unfinished !== undefined && fs.existsSync(unfinished);
    const left = begun ? `. What is in ${into} is incomplete: remove it` : '';
    if (error instanceof LogError) throw new CliError(EXITS[error.code], `${message}${left}`);
    if (syscall !== undefined) throw new CliError(EXIT.disk, `${message}${left}`);
    throw error;
  } finally {
    bar.stop();
  }
}

function targetIn(folder: string): RepairTarget {
  const codec = new Engine();
  return {
    files: new NodeFiles(folder, false, codec.memory.buffer),
    codec,
    newLogId: randomBytes(8).readBigUInt64LE(),
    wallMs: Date.now,
  };
}

type Paint = (text: string) => string;

function reportText(report: RepairReport, red: Paint, yellow: Paint): string {
  const { saved, settled, doubtful, torn, lost, missing, unreadable, problems, written } = report;
  const lines: string[] = [];
  for (const { segment, text } of problems)
    lines.push(yellow(text.startsWith(segment) ? text : `${segment} ${text}`));
  for (const { segment, offset, bytes } of unreadable)
    lines.push(red(`UNREADABLE: ${bytes} bytes at offset ${offset} of ${segment}`));
  for (const range of lost)
    lines.push(
      red(
        `LOST: ${range.bytes} bytes at offset ${range.offset} of ${range.segment} (log position ${range.position}), ${sequencesText(range)}`,
      ),
    );
  for (const range of missing)
    lines.push(
      red(
        `MISSING: log positions ${range.from} to ${range.to ?? 'the end'}, ${sequencesText(range)}`,
      ),
    );
  for (const batch of doubtful)
    lines.push(yellow(`doubtful: saved, perhaps never acked: ${batchText(batch)}`));
  if (torn !== null) lines.push(`torn tail, never acked, left out: ${batchText(torn)}`);
  for (const name of report.unneeded) lines.push(`${name} was given back: nothing in it is needed`);
  for (const name of report.foreign) lines.push(`${name} is not part of the log: left out`);
  if (lost.length > 0 || missing.length > 0)
    lines.push('acks may be among what is lost: messages that were settled by them come again');
  lines.push(`settled, left out: ${settled} messages`);
  const verb = written === null ? 'could be saved' : 'saved';
  lines.push(`${verb}: ${saved.messages} messages, ${saved.bytes} bytes of payload`);
  if (written !== null)
    lines.push(
      `written: ${written.segments} segments of ${written.segmentBytes} bytes from log position ${written.position}, read back and complete`,
    );
  return `${lines.join('\n')}\n`;
}

function sequencesText(range: {
  fromSequence: string | null;
  toSequence: string | null;
  unsettled: number | null;
}): string {
  const { fromSequence, toSequence, unsettled } = range;
  if (unsettled === 0) return 'no message that was not settled';
  const from = fromSequence === null ? '' : ` from ${fromSequence}`;
  const to = toSequence === null ? '' : ` to before ${toSequence}`;
  const most = unsettled === null ? '' : `, at most ${unsettled} messages`;
  return from + to === '' ? 'sequences unknown' : `sequences${from}${to}${most}`;
}

function batchText({ messages, segment, offset, fromSequence, toSequence }: DoubtfulBatch): string {
  return `${messages} messages of the batch at offset ${offset} of ${segment}, sequences ${fromSequence} to before ${toSequence}`;
}
