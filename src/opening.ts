// Opens the log of a data folder with what the process has for it: the module, files, random ids
// and delays; says what was recovered.

import { randomBytes } from 'node:crypto';
import type { BrokerConfig } from './config/load.ts';
import type { StartSnapshot } from './contract/snapshot.ts';
import type { Broker } from './core/broker.ts';
import { ForegroundTraffic } from './core/fairness/foreground.ts';
import { createState } from './core/segments/state.ts';
import type { DataFolder } from './data-folder.ts';
import type { Clock } from './io/clock.ts';
import type { Logger } from './io/logger.ts';
import { FileLog } from './log/file-log.ts';
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
  progress?: (progress: StartSnapshot) => void;
}

/** An open log, and the state that was read from it. */
export interface OpenedLog {
  codec: Engine;
  log: FileLog;
  foreground: ForegroundTraffic;
  state: ReturnType<typeof createState>;
  /** What the broker goes on with. */
  recovered: Parameters<Broker['resume']>;
  report: Parameters<Reporter['recovered']>[0];
}

/** Throws LogError, or what the system said. */
export async function openLog(
  options: OpeningOptions,
  folder: DataFolder,
  clock: Clock,
): Promise<OpenedLog> {
  const { config, log } = options;
  const begun = performance.now();
  const starting = new Starting(log, options.progress ?? (() => {}), () => performance.now());
  const codec = new Engine();
  const foreground = new ForegroundTraffic();
  const state = createState(randomBytes(4).readInt32LE(), config.memory.bucketsMax);
  state.ids.bytesMax = config.memory.idBytesMax;
  let side: Engine | undefined;
  const replay = new Replay(state);
  const opened = await FileLog.open(
    {
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
      newLogId: randomBytes(8).readBigUInt64LE(),
      now: () => performance.now(),
      wallMs: () => clock.wallMs(),
      later: (call) => void after(LATER_MS, call),
      soon: (call) => void setImmediate(call),
      shortDelay: (call) => void after(1, call),
      idleDelay: (call) => void after(IDLE_MS, call),
      note: (level, text) => log[level]({ event: 'log.note' }, text),
      progress: (step) => starting.step(step),
    },
    replay,
  );
  const { recovered, resume } = opened;
  const tookMs = Math.round(performance.now() - begun);
  const report = recoveryReport(recovered, replay.builder.messages, tookMs);
  log.info({ event: 'recovery.done', ...report, epoch: resume.epoch }, recoveredText(report));
  return {
    codec,
    log: opened.log,
    foreground,
    state,
    recovered: [resume, replay.builder.inMemory],
    report,
  };
}
