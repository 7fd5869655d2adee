// Opens the log of a data folder with what the process has for it: the module, files, random ids
// and delays; says what was recovered.

import { randomBytes } from 'node:crypto';
import type { BrokerConfig } from './config/load.ts';
import type { StartSnapshot } from './contract/snapshot.ts';
import type { Broker } from './core/broker.ts';
import type { Log } from './core/broker-options.ts';
import { ForegroundTraffic } from './core/fairness/foreground.ts';
import { createState } from './core/segments/state.ts';
import type { DataFolder } from './data-folder.ts';
import type { Clock } from './io/clock.ts';
import type { Logger } from './io/logger.ts';
import { FileLog } from './log/file-log.ts';
import type { LogOptions } from './log/recovery/log-options.ts';
import type { Recovered } from './log/recovery/recovery.ts';
import { Replay } from './log/recovery/replay.ts';
import type { Reporter } from './reporter.ts';
import { recoveredText, recoveryReport, Starting } from './starting.ts';
import { after } from './time/timers.ts';
import { Engine } from './wasm/engine.ts';

// What the log begins again in a while: a segment, after there was no space.
const LATER_MS = 25;
// Between two MiB that are compacted.
const IDLE_MS = 4;

export interface OpeningOptions {
  config: BrokerConfig;
  log: Logger;
  /** Told how far the start is, again and again until it is over. */
  progress?: ((progress: StartSnapshot) => void) | undefined;
}

/** An open log, and the state that was read from it. */
export interface OpenedLog {
  codec: Engine;
  log: FileLog;
  /** Of that log; its journal may ask others first. */
  ports: Log;
  foreground: ForegroundTraffic;
  state: ReturnType<typeof createState>;
  /** What the broker goes on with. */
  recovered: Parameters<Broker['resume']>;
  report: Parameters<Reporter['recovered']>[0];
}

/** What a log in a data folder is opened with, for a process that has this module. */
export interface Surroundings {
  codec: Engine;
  foreground: ForegroundTraffic;
  clock: Clock;
  /** LOG_ID, unsigned, of a log that is made new, or a copy; random unless said. */
  logId?: bigint;
}

/** Whom background work gives way to, and a module. */
export function surroundings(clock: Clock): Surroundings {
  return { codec: new Engine(), foreground: new ForegroundTraffic(), clock };
}

/** An empty state, for a log to be read into. */
export function emptyState({ memory }: BrokerConfig): ReturnType<typeof createState> {
  const state = createState(randomBytes(4).readInt32LE(), memory.bucketsMax);
  state.ids.bytesMax = memory.idBytesMax;
  return state;
}

/** Throws LogError, or what the system said. */
export async function openLog(
  options: OpeningOptions,
  folder: DataFolder,
  clock: Clock,
): Promise<OpenedLog> {
  const begun = performance.now();
  const around = surroundings(clock);
  const { codec, foreground } = around;
  const state = emptyState(options.config);
  const replay = new Replay(state);
  const opened = await FileLog.open(logOptions(options, folder, around), replay);
  const { recovered, resume } = opened;
  const report = tellRecovered(options.log, recovered, replay.builder.messages, begun);
  return {
    codec,
    log: opened.log,
    ports: opened.log.ports,
    foreground,
    state,
    recovered: [resume, replay.builder.inMemory],
    report,
  };
}

/** Says what was recovered since `begun`, in monotonic ms; gives it as numbers. */
export function tellRecovered(
  log: Logger,
  recovered: Recovered,
  messages: number,
  begun: number,
): OpenedLog['report'] {
  const tookMs = Math.round(performance.now() - begun);
  const report = recoveryReport(recovered, messages, tookMs);
  const { epoch } = recovered.resume;
  log.info({ event: 'recovery.done', ...report, epoch }, recoveredText(report));
  return report;
}

export function logOptions(
  { config, log, progress = () => {} }: OpeningOptions,
  folder: DataFolder,
  { codec, foreground, clock, logId }: Surroundings,
): LogOptions {
  const starting = new Starting(log, progress, () => performance.now());
  let side: Engine | undefined;
  return {
    files: folder.files('log', codec.memory.buffer),
    indexFiles: folder.files('index'),
    places: folder.places,
    traces: folder.traces,
    codec,
    sideCodec: () => {
      side ??= new Engine();
      return side;
    },
    crc32c: (bytes) => codec.checksum(bytes),
    hashSeed: randomBytes(4).readUInt32LE(),
    mode: config.log.sync,
    foreground,
    segmentBytes: config.limits.segmentBytes,
    spareBytes: config.log.spareBytes,
    coldBytesMax: config.memory.coldBytesMax,
    tableBytesMax: config.memory.tableBytesMax,
    newLogId: logId ?? randomBytes(8).readBigInt64LE(),
    now: () => performance.now(),
    wallMs: () => clock.wallMs(),
    later: (call) => void after(LATER_MS, call),
    soon: (call) => void setImmediate(call),
    shortDelay: (call) => void after(1, call),
    idleDelay: (call) => void after(IDLE_MS, call),
    note: (level, text) => log[level]({ event: 'log.note' }, text),
    progress: (step) => starting.step(step),
  };
}
