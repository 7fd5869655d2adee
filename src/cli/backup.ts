// The verb `backup`: a copy of a broker's log that another broker starts on. A broker that runs
// makes it itself, beside its traffic; without one the folder is locked and copied from here.

import fs from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import type { BackupState } from '../contract/commands.ts';
import { Backups } from '../io/backups.ts';
import { NodeFiles } from '../io/files.ts';
import { FolderLock, LockError } from '../io/lock.ts';
import { type Cut, Pinned } from '../log/backup.ts';
import { LogError } from '../log/files/errors.ts';
import { type Inventory, takeInventory } from '../log/recovery/recovery.ts';
import { sleep } from '../time/timers.ts';
import { Dashboard, type DashboardTarget } from './dashboard.ts';
import { progressBar, quoted } from './offline.ts';
import { CliError, EXIT, emit, note } from './output.ts';
import { count } from './tables.ts';
import { addTargetOptions } from './target.ts';

const HELP = `
Copies the log as it is at one moment, beside the traffic: every message that was acked before the
backup began is in it, unless a consumer's ack for it is, too. DIR must be empty or not exist; it is
a folder on the broker's host, which the broker writes. With --data-dir, and no broker running
there, the folder is copied from here. A backup that was cut off holds a folder log.incomplete, and
no broker starts on it.

To restore: thrustmq serve --data-dir DIR, or a copy of DIR.

Examples:
  thrustmq backup --into /backups/monday
  thrustmq backup --data-dir ./data --into ./copy --json

Exit codes: 0 done, 1 failed: nothing is left in DIR, 2 DIR cannot be used, 69 broker unreachable,
74 the log cannot be read.`;

const POLL_MS = 250;
const MIB = 1024 * 1024;
// Zeros written at a time.
const ZERO_BYTES = 256 * 1024;

interface Options extends DashboardTarget {
  into: string;
  json?: boolean;
}

/** Adds `backup`. */
export function registerBackup(program: Command): void {
  addTargetOptions(
    program.command('backup').description('copy the log of a broker, also while it runs'),
    'dashboard',
  )
    .requiredOption('-i, --into <DIR>', 'folder for the copy, empty or not there')
    .option('--json', 'print one JSON object when it is over')
    .addHelpText('after', HELP)
    .action((options: Options) => backup(options));
}

async function backup(options: Options): Promise<void> {
  const into = path.resolve(options.into);
  const release = lockIfFree(options);
  const bar = progressBar('MiB');
  const show = ({ bytes, totalBytes }: BackupState) => {
    if (totalBytes !== null) bar.update(Math.floor(bytes / MIB), Math.ceil(totalBytes / MIB));
  };
  let state: BackupState;
  try {
    state =
      release === undefined
        ? await ofBroker(new Dashboard(options), into, show)
        : await ofFolder(options.dataDir!, into, show);
  } finally {
    bar.stop();
    release?.();
  }
  if (options.json) await emit(`${JSON.stringify(state)}\n`);
  if (state.state !== 'done')
    throw new CliError(EXIT.failed, `no backup was made: ${state.detail}`);
  if (options.json) return;
  await emit(
    `${into}: ${count(state.totalSegments ?? 0)} segments, ${count(state.bytes)} bytes, the log up to position ${state.position}\n`,
  );
  note(`to check it: thrustmq log verify --data-dir ${quoted(into)}`);
}

// The folder's lock, if a folder was named and no broker has it.
function lockIfFree({ dataDir, host, port }: Options): (() => void) | undefined {
  if (dataDir === undefined || host !== undefined || port !== undefined) return undefined;
  if (!fs.existsSync(path.join(dataDir, 'log')))
    throw new CliError(EXIT.disk, `there is no log in ${dataDir}`);
  const holder = { pid: process.pid, verb: 'backup', since: new Date() };
  try {
    const lock = new FolderLock(dataDir, `${JSON.stringify(holder)}\n`);
    return () => lock.release();
  } catch (error) {
    if (error instanceof LockError && error.held) return undefined;
    // Nobody has the folder, and by this way nobody can write to it.
    if ((error as NodeJS.ErrnoException).code === 'EROFS') return () => {};
    const text = `${dataDir} cannot be locked: ${(error as Error).message}`;
    throw new CliError(EXIT.disk, text);
  }
}

async function ofBroker(
  dashboard: Dashboard,
  into: string,
  show: (state: BackupState) => void,
): Promise<BackupState> {
  const url = '/api/v1/backup';
  const query = new URLSearchParams({ into });
  let state = (await dashboard.change('POST', `${url}/begin?${query}`)) as BackupState;
  const { startedAt } = state;
  while (state.state === 'running') {
    show(state);
    await sleep(POLL_MS);
    state = (await dashboard.get(url)) as BackupState;
    if (state.startedAt !== startedAt)
      throw new CliError(
        EXIT.failed,
        'another backup has begun since, so how this one went is not known',
      );
  }
  return state;
}

async function ofFolder(
  dataDir: string,
  into: string,
  show: (state: BackupState) => void,
): Promise<BackupState> {
  const files = new NodeFiles(path.join(dataDir, 'log'), true);
  let inventory: Inventory;
  try {
    inventory = await takeInventory(files);
  } catch (error) {
    const { message, syscall } = error as NodeJS.ErrnoException;
    if (!(error instanceof LogError) && syscall === undefined) throw error;
    throw new CliError(EXIT.disk, `the log in ${dataDir} cannot be copied: ${message}`);
  }
  const backups = new Backups({
    log: { pin: (done) => done(undefined, cutOf(files, inventory)), blocked: () => undefined },
    dataDir: () => dataDir,
    zeros: new Uint8Array(ZERO_BYTES),
    wallMs: Date.now,
    notice: () => {},
  });
  await new Promise<void>((resolve, reject) =>
    backups.begin(into, (outcome) =>
      outcome.ok
        ? resolve()
        : reject(
            new CliError(outcome.code === 'bad-request' ? EXIT.usage : EXIT.failed, outcome.detail),
          ),
    ),
  );
  while (backups.state!.state === 'running') {
    show(backups.state!);
    await sleep(POLL_MS);
  }
  return backups.state!;
}

// All of a log at rest, with its end as it is: a start on the copy makes of it what one on the log
// would.
function cutOf(files: NodeFiles, { older, segments, superseded }: Inventory): Cut {
  const all = [...older, ...segments, ...superseded].sort((a, b) => a.base - b.base);
  return {
    end: all.at(-1)?.end ?? 0,
    pinned: all.map((segment) => new Pinned(files, segment, segment.bytes, () => {})),
    piece: () => MIB,
    turn: () => new Promise((resolve) => setImmediate(resolve)),
  };
}
