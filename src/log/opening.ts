// The first half of opening a log: takes the folder of segments and that of indexes as they were
// left, feeds what they hold to whoever counts it, and leaves behind only what belongs to the log.

import { DueEntries } from '../core/records/due.ts';
import { blockStart } from './files/blocks.ts';
import { LogError } from './files/errors.ts';
import { settle } from './files/promises.ts';
import { Throttle } from './files/throttle.ts';
import { IdRuns } from './index/id-runs.ts';
import { IndexStore } from './index/index-store.ts';
import { demandCopy } from './recovery/copies.ts';
import { refuseLost } from './recovery/earlier.ts';
import { adopt, createFirst, cutSurplus, dropOdd, renewNext } from './recovery/folder.ts';
import type { LogOptions } from './recovery/log-options.ts';
import { type FoundSegment, type Recovered, recover, takeInventory } from './recovery/recovery.ts';
import type { Sink } from './recovery/sink.ts';
import { readFully } from './scan/scan.ts';
import { SegmentDueTimes } from './segment-due-times.ts';
import { keyOf, segmentName } from './segments/segment.ts';
import type { Segment } from './segments/segments.ts';
import type { Spare } from './segments/spares.ts';

/** What the log goes on with. */
export interface RecoveredFolder {
  recovered: Recovered;
  spares: Spare[];
  store: IndexStore;
  due: SegmentDueTimes;
  ids: IdRuns;
  pace: Throttle;
}

/**
 * `noSpace`: an index found no room on the disk; it may come while the folder is still read. Throws
 * LogError, or what the system said.
 */
export async function recoverFolder(
  options: LogOptions,
  sink: Sink,
  noSpace: () => void,
): Promise<RecoveredFolder> {
  const { files, codec } = options;
  let inventory = await takeInventory(files);
  refuseLost(inventory, options.traces ?? []);
  if (options.isCopy === true) demandCopy(options, inventory);
  for (const name of inventory.foreign)
    options.note('warn', `${name} in the log folder is not part of the log: ignored`);
  const spares = await adopt(options, inventory.leftovers);
  if (inventory.segments.length === 0) {
    await createFirst(options);
    inventory = await takeInventory(files);
  }
  const { logId } = inventory.segments[0]!.header;
  const { indexFiles, note, progress } = options;
  const pace = new Throttle(options, options.foreground);
  const store = new IndexStore({
    ...options,
    pace,
    files: indexFiles,
    segmentFiles: files,
    logId,
    noSpace,
  });
  const due = new SegmentDueTimes(options, { pace, logId, noSpace }, inventory.segments);
  await due.open();
  const ids = await openIds(options, { pace, logId }, inventory.segments, sink);
  const checkpoint = await store.open(inventory.segments);
  if (checkpoint !== undefined) sink.restore(checkpoint);
  let unindexed = false; // from then on entries stay in memory, so all has to be read
  const recovered = await recover(files, codec, inventory, sink, progress, {
    start: checkpoint?.start ?? 0,
    syncedTo: options.syncedTo,
    // The weaker modes may have lost what an index tells of.
    known: async (segment) => {
      const known =
        options.mode === 'commit' && !unindexed ? await store.known(segment) : undefined;
      const isOver = known !== undefined && known.idsUntilMs <= options.wallMs();
      return isOver ? { ...known, idsUntilMs: 0 } : known;
    },
    idBytes: (segment) => ids.has(segment),
    wallMs: options.wallMs,
    index: async (segment, source) => {
      try {
        await store.make(segment, source);
        await due.make(segment.base, source.due ?? new DueEntries());
      } catch (error) {
        unindexed = true;
        const { message } = error as Error;
        note('warn', `the index of ${segment.name} cannot be written: ${message}`);
        throw error;
      }
    },
  });
  await store.dropFrom(recovered.resume.base);
  await due.dropFrom(recovered.resume.base);
  codec.setKey(keyOf(logId));
  codec.setSecret(Number(BigInt.asUintN(32, logId)), Number(logId >> 32n));
  for (const { handle, name } of recovered.unneeded) {
    await settle((done) => files.close(handle, done));
    await settle((done) => files.remove(name, done));
  }
  await dropOdd(options, recovered);
  await cutSurplus(files, recovered);
  await renewNext(files, recovered);
  return { recovered, spares, store, due, ids, pace };
}

// What left memory of ids: the weaker modes may have lost messages that it tells of.
async function openIds(
  options: LogOptions,
  own: { pace: Throttle; logId: bigint },
  segments: readonly FoundSegment[],
  sink: Sink,
): Promise<IdRuns> {
  const { indexFiles, files, mode } = options;
  const ids = new IdRuns({ ...options, ...own, files: indexFiles, synced: mode === 'commit' });
  sink.olderIds?.(ids);
  await ids.open({
    files,
    start: () => segments[0]!.base,
    at: (position) => segments.find(({ base, end }) => position >= base && position < end),
  });
  return ids;
}

/**
 * Takes into memory what stands, up to `offset`, in the block of the open segment that the next
 * append begins in: its head is written again with every append to it. Of a copy all of the
 * segment, as what comes for it once more is compared with that. Throws LogError `io`.
 */
export async function loadImage(
  { files, codec, isCopy = false }: Pick<LogOptions, 'files' | 'codec' | 'isCopy'>,
  { base, handle }: Pick<Segment, 'base' | 'handle'>,
  offset: number,
): Promise<void> {
  const from = isCopy ? 0 : blockStart(offset);
  const into = codec.memory.subarray(codec.coldBytes + from, codec.coldBytes + offset);
  const got = await readFully(files, handle, into, from);
  if (got < into.length) throw new LogError('io', `${segmentName(base)} ended while it was read`);
}
