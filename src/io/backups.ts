// Backups of the log of a running broker, one at a time, into folders that an operator names. A
// backup is called log.incomplete until all of it is on disk, so that no broker starts on a part.
// It ends by itself, and gives up what it keeps of the log, when it stands still or when the disk
// of the log is full.

import fs from 'node:fs';
import path from 'node:path';
import type { BackupState, Outcome, Refusal } from '../contract/commands.ts';
import { bytesOf, type Cut, copyPinned } from '../log/backup.ts';
import type { Files } from '../log/files/files.ts';
import { INCOMPLETE_FOLDER } from '../log/segments/segment.ts';
import { cancel, every, type Timer } from '../time/timers.ts';
import { NodeFiles } from './files.ts';
import { isWithin, makeFresh, syncFolder, whyNotFresh } from './fresh-folder.ts';
import { PAUSED_FILE, textIn } from './paused-file.ts';

/** What a backup needs of the log. */
export interface BackupLog {
  pin(done: (failure: Error | undefined, cut: Cut | undefined) => void): void;
  blocked(): string | undefined;
}

export interface BackupsOptions {
  log: BackupLog;
  /** The data folder; it may be renamed. */
  dataDir: () => string;
  zeros: Uint8Array;
  wallMs: () => number;
  notice: (level: 'info' | 'warn', kind: string, text: string, fields: object) => void;
  /** Between two looks at how it goes; default a second. */
  watchMs?: number;
  /** A backup that stands still for so long is given up; default a minute. */
  stallMs?: number;
  /** The folder that is written; for tests. */
  filesIn?: (folder: string) => Files;
}

type Done = (outcome: Outcome) => void;

// The folder is none for a backup.
class NotFresh extends Error {}

const WATCH_MS = 1000;
const STALL_MS = 60_000;

export class Backups {
  readonly #options: BackupsOptions;
  #state: BackupState | undefined;
  #cut: Cut | undefined;
  #movedMs = 0;
  #watch: Timer | undefined;
  #working: Promise<void> = Promise.resolve();

  constructor(options: BackupsOptions) {
    this.#options = options;
  }

  /** How the last backup goes or went; null: there was none. */
  get state(): BackupState | null {
    return this.#state === undefined ? null : { ...this.#state };
  }

  /** Begins a backup; `done` comes when the log is pinned, or with why there is none. */
  begin(into: string, done: Done): void {
    const refusal = this.#refusal(into);
    if (refusal !== undefined) {
      done(refusal);
      return;
    }
    const state: BackupState = {
      into,
      startedAt: new Date(this.#options.wallMs()).toISOString(),
      state: 'running',
      detail: null,
      position: null,
      bytes: 0,
      totalBytes: null,
      segments: 0,
      totalSegments: null,
    };
    this.#state = state;
    this.#movedMs = performance.now();
    this.#watch = every(this.#options.watchMs ?? WATCH_MS, () => this.#look(state));
    this.#working = this.#run(state, done);
  }

  #refusal(into: string): Refusal | undefined {
    const { log } = this.#options;
    if (this.#state?.state === 'running')
      return refuse('conflict', `a backup into ${this.#state.into} is running: wait, or cancel it`);
    if (!path.isAbsolute(into) || into.includes('\0'))
      return refuse('bad-request', 'say with `into` where the backup goes, as an absolute path');
    const full = log.blocked();
    if (full !== undefined)
      return refuse(
        'failed',
        `a backup would keep space from being given back, and there is ${full}`,
      );
    return undefined;
  }

  async #run(state: BackupState, done: Done): Promise<void> {
    const { into } = state;
    let made: string | undefined;
    let written: string | undefined;
    let pinned: Cut | undefined;
    try {
      if (await isWithin(this.#options.dataDir(), into))
        throw new NotFresh(`${into} is in the data folder: choose one outside of it`);
      made = await makeFresh(into);
      const refusal = whyNotFresh(into, await fs.promises.readdir(into));
      if (refusal !== undefined) throw new NotFresh(refusal);
      // Before the log: what is taken over and removed meanwhile may not be in this copy of it.
      const paused = textIn(this.#options.dataDir());
      const cut = await this.#pin(state);
      pinned = cut;
      await refuseFull(into, state.totalBytes ?? 0);
      written = INCOMPLETE_FOLDER;
      done({ ok: true, result: { ...state } });
      await this.#copy(state, cut);
      if (paused !== undefined) await saveIn(into, PAUSED_FILE, paused);
      if (state.state !== 'running') throw new Error(state.detail ?? 'it was given up');
      await fs.promises.rename(path.join(into, INCOMPLETE_FOLDER), path.join(into, 'log'));
      written = 'log';
      await syncFolder(into);
      if (state.state !== 'running') throw new Error(state.detail ?? 'it was given up');
      this.#end(state, 'done', null);
    } catch (error) {
      for (const segment of pinned?.pinned ?? []) segment.release();
      this.#end(state, 'failed', (error as Error).message);
      // What was there before this backup stays.
      if (written !== undefined) await remove(into, written);
      if (made !== undefined) await removeEmpty(into, made);
      const code = error instanceof NotFresh ? 'bad-request' : 'failed';
      if (written === undefined) done(refuse(code, `no backup was made: ${state.detail}`));
    }
  }

  #pin(state: BackupState): Promise<Cut> {
    return new Promise((resolve, reject) =>
      this.#options.log.pin((failure, cut) => {
        if (cut === undefined) return reject(failure);
        if (state.state !== 'running') {
          for (const segment of cut.pinned) segment.release();
          return reject(new Error(state.detail ?? 'it was given up'));
        }
        this.#cut = cut;
        state.position = String(cut.end);
        state.totalBytes = bytesOf(cut.pinned);
        state.totalSegments = cut.pinned.length;
        resolve(cut);
      }),
    );
  }

  async #copy(state: BackupState, cut: Cut): Promise<void> {
    const folder = path.join(state.into, INCOMPLETE_FOLDER);
    const { filesIn } = this.#options;
    if (filesIn !== undefined) return this.#copyInto(filesIn(folder), state, cut);
    const files = new NodeFiles(folder);
    try {
      await this.#copyInto(files, state, cut);
    } finally {
      files.letGo();
    }
  }

  #copyInto(into: Files, state: BackupState, { pinned, piece, turn }: Cut): Promise<void> {
    const { zeros } = this.#options;
    return copyPinned({
      pinned,
      into,
      zeros,
      piece,
      turn: async ({ bytes, segments }) => {
        if (state.state !== 'running') throw new Error(state.detail ?? 'it was given up');
        this.#movedMs = performance.now();
        state.bytes = bytes;
        state.segments = segments;
        await turn();
      },
    });
  }

  // A pinned log gives nothing back, so a backup may not stand still.
  #look(state: BackupState): void {
    const full = this.#options.log.blocked();
    const stillMs = performance.now() - this.#movedMs;
    const stallMs = this.#options.stallMs ?? STALL_MS;
    if (full !== undefined)
      this.#giveUp(
        state,
        'failed',
        `the disk of the log is full (${full}), and a backup keeps space`,
      );
    else if (stillMs > stallMs)
      this.#giveUp(state, 'failed', `nothing was written for ${Math.round(stillMs / 1000)} s`);
  }

  /** Ends a backup that is running, and removes what it wrote; gives how it went. */
  cancel(): BackupState | null {
    if (this.#state?.state === 'running')
      this.#giveUp(this.#state, 'cancelled', 'it was cancelled');
    return this.state;
  }

  /** The same when the broker stops; waits for what is being written. */
  async close(): Promise<void> {
    if (this.#state?.state === 'running')
      this.#giveUp(this.#state, 'cancelled', 'the broker was stopped');
    await this.#working;
  }

  #giveUp(state: BackupState, how: 'failed' | 'cancelled', why: string): void {
    for (const segment of this.#cut?.pinned ?? []) segment.release();
    this.#end(state, how, why);
  }

  #end(state: BackupState, how: BackupState['state'], detail: string | null): void {
    if (state.state !== 'running') return;
    cancel(this.#watch);
    this.#cut = undefined;
    state.state = how;
    state.detail = detail;
    const { into, bytes, position } = state;
    const fields = { into, bytes, position };
    if (how === 'done') {
      state.bytes = state.totalBytes ?? bytes;
      state.segments = state.totalSegments ?? state.segments;
      const text = `backup into ${into} done: the log up to position ${position}`;
      this.#options.notice('info', 'backup.done', text, fields);
    } else {
      const text = `no backup was made into ${into}: ${detail}`;
      this.#options.notice('warn', 'backup.failed', text, fields);
    }
  }
}

function refuse(code: Refusal['code'], detail: string): Refusal {
  return { ok: false, code, detail };
}

async function refuseFull(into: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await fs.promises.statfs(into);
  if (bavail * bsize < bytes)
    throw new Error(
      `${into} has ${bavail * bsize} bytes free, and ${bytes} are needed: choose another disk`,
    );
}

async function saveIn(folder: string, name: string, text: string): Promise<void> {
  const file = await fs.promises.open(path.join(folder, name), 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

// `log` is what the log is called by now. One that has its name already may be used by a broker.
async function remove(into: string, log: string): Promise<void> {
  const ours = [log, PAUSED_FILE];
  const names = await fs.promises.readdir(into).catch(() => []);
  if (log !== INCOMPLETE_FOLDER && names.some((name) => !ours.includes(name))) return;
  for (const name of ours)
    await fs.promises.rm(path.join(into, name), { recursive: true, force: true }).catch(() => {});
}

// Folders that were made for the backup, from the innermost on, as far as nobody uses them.
async function removeEmpty(into: string, made: string): Promise<void> {
  for (let folder = path.resolve(into); ; folder = path.dirname(folder)) {
    const isGone = await fs.promises.rmdir(folder).then(
      () => true,
      () => false,
    );
    if (!isGone || folder === path.resolve(made)) return;
  }
}
