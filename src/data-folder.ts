// The data folder of a broker from its start to its end: whether it may be used, locked against
// other brokers, held open so that it is noticed when it goes.

import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { BrokerConfig } from './config/load.ts';
import { isOutOfDescriptors, tooFewDescriptors } from './io/descriptors.ts';
import { tracesIn } from './io/earlier.ts';
import { NodeFiles } from './io/files.ts';
import { Home } from './io/home.ts';
import { FolderLock, LockError } from './io/lock.ts';
import type { Logger } from './io/logger.ts';
import { setLogAside } from './io/set-aside.ts';
import { makeFolder, storageOf } from './io/storage.ts';
import { settle } from './log/files/promises.ts';
import { INCOMPLETE_FOLDER } from './log/segments/segment.ts';
import type { Place } from './log/segments/watch.ts';

/** A start that was refused; `exitCode` is one of the list in README.md. */
export class StartError extends Error {
  override name = 'StartError';
  readonly exitCode: number;

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

export interface DataFolderOptions {
  config: Pick<BrokerConfig, 'dataDir' | 'unsafeNoLock' | 'requireData'>;
  log: Logger;
  version: string;
}

export class DataFolder {
  /** Tells this broker from every other one; in LOCK and in runtime.json. */
  readonly instance = randomBytes(16).toString('hex');
  /** What in it speaks of an earlier log, if there is none now (log/recovery/earlier.ts). */
  readonly traces: readonly string[];
  readonly #log: Logger;
  readonly #home: Home;
  readonly #lock: FolderLock | undefined;
  readonly #files = new Map<string, NodeFiles>();
  #released = false;

  /**
   * Makes the folder if it is absent, and takes it. Throws StartError: 75 another broker has it, 74
   * it cannot be used, or is not what `requireData` asks for, 78 there is no way to lock it, or no
   * files are kept there.
   */
  constructor(options: DataFolderOptions) {
    const { config, log } = options;
    const { dataDir } = config;
    this.#log = log;
    judgeStorage(options);
    try {
      const found = tracesIn(dataDir);
      if (config.requireData && !found.hasLog)
        throw new StartError(
          74,
          `there is no log in the data folder ${dataDir}, and --require-data (THRUSTMQ_REQUIRE_DATA) demands one: is its volume mounted? For the very first start leave that setting out`,
        );
      makeFolder(dataDir);
      this.#home = new Home(dataDir, (now) =>
        log.warn({ event: 'folder.moved', folder: now }, `the data folder is ${now} now`),
      );
      this.#lock = this.#take(options);
      // Again, now that nobody else changes it.
      const { traces, hasLog } = tracesIn(dataDir);
      this.traces = traces;
      refuseIncomplete(dataDir);
      // That of a broker that was killed. Where the log is lost it stays, as a trace.
      if (hasLog) fs.rmSync(path.join(dataDir, 'runtime.json'), { force: true });
    } catch (error) {
      this.release();
      if (error instanceof StartError) throw error;
      if (isOutOfDescriptors(error))
        throw new StartError(78, tooFewDescriptors(), { cause: error });
      throw new StartError(
        74,
        `the data folder ${dataDir} cannot be used: ${(error as Error).message}`,
        { cause: error },
      );
    }
  }

  /** Where it is: somebody may have renamed it. */
  get path(): string {
    return this.#home.path;
  }

  /** The files of a folder in it, once nothing uses those that were given before; `memory` as in
   * io/files.ts. */
  files(name: string, memory?: ArrayBufferLike): NodeFiles {
    this.#files.get(name)?.letGo();
    const files = new NodeFiles(() => path.join(this.path, name), false, memory);
    this.#files.set(name, files);
    return files;
  }

  /** What must stay where it is while the broker runs. */
  get places(): Place[] {
    const home = this.#home;
    const lock = this.#lock;
    const again = () =>
      this.#log.warn(
        { event: 'lock.again' },
        `LOCK was removed from ${this.path} and is made again: it is no leftover while a broker runs`,
      );
    const folder: Place = {
      get name() {
        return `the data folder ${home.path}`;
      },
      follow: (done) => home.check(done),
    };
    if (lock === undefined) return [folder];
    return [
      folder,
      {
        name: `the lock of the data folder`,
        follow: (done) =>
          lock.check(home.path, again, (failure) => {
            if (failure instanceof LockError && failure.held) done(undefined, 'elsewhere');
            else done(failure, 'to it');
          }),
      },
    ];
  }

  #take({ config, log, version }: DataFolderOptions): FolderLock | undefined {
    const { dataDir, unsafeNoLock } = config;
    if (unsafeNoLock) {
      const text = `no lock on ${dataDir}: a second broker there would destroy the log`;
      log.warn({ event: 'lock.off' }, text);
      return undefined;
    }
    const { instance } = this;
    const holder = { pid: process.pid, host: os.hostname(), version, since: new Date(), instance };
    try {
      const lock = new FolderLock(dataDir, `${JSON.stringify(holder)}\n`);
      if (!lock.isWhole)
        log.warn(
          { event: 'lock.weak' },
          `the file system of ${dataDir} locks files, but no folders: who removes LOCK lets a second broker in, which would destroy the log`,
        );
      return lock;
    } catch (error) {
      if (!(error instanceof LockError)) throw error;
      const { held, message } = error;
      throw held
        ? new StartError(
            75,
            `another broker has the data folder ${dataDir}: ${message}. Stop it first, or choose another --data-dir`,
          )
        : new StartError(
            78,
            `the data folder ${dataDir} cannot be locked: ${message}. Install one of them, or accept the risk with --unsafe-no-lock`,
          );
    }
  }

  /**
   * The log gets another name in the folder, which this gives; undefined if there is none. All
   * files that are open are closed first: nothing may be under way. Throws what the system says.
   */
  async setLogAside(now: Date): Promise<string | undefined> {
    for (const files of this.#files.values()) {
      for (const handle of files.handles) await settle((done) => files.close(handle, done));
      files.letGo();
    }
    this.#files.clear();
    return setLogAside(this.path, now);
  }

  /** Lets another broker have it. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    for (const files of this.#files.values()) files.letGo();
    this.#lock?.release();
    this.#home?.close();
  }
}

// Beside it the broker would begin an empty log, as if nothing had been saved.
function refuseIncomplete(dataDir: string): void {
  if (fs.existsSync(path.join(dataDir, INCOMPLETE_FOLDER)))
    throw new StartError(
      74,
      `the data folder ${dataDir} holds a repair that was cut off, or a backup (${INCOMPLETE_FOLDER}), which is no log to start on: remove the folder and repair or back up again`,
    );
}

function judgeStorage({ config: { dataDir }, log }: DataFolderOptions): void {
  const { pseudo, inMemory } = storageOf(dataDir);
  if (pseudo !== undefined)
    throw new StartError(
      78,
      `the data folder ${dataDir} is on a pseudo file system (${pseudo}), which keeps no files: choose another --data-dir`,
    );
  if (inMemory !== undefined)
    log.warn(
      { event: 'data.in-memory', type: inMemory },
      `the data folder ${dataDir} is in memory (${inMemory}): acks do not mean "on disk", everything is lost when the machine stops or the file system is unmounted`,
    );
}
