// Divides one budget of memory among everything in the broker's process that grows. The parts and
// what they are worth stand here and nowhere else; each part then holds itself to its share.
//
//   part          at 512 MiB   what it is                                       follows from
//   process          112 MiB   Node.js, the program, garbage not yet collected  fixed
//   areas             10 MiB   of the WebAssembly modules: input, one delivery, --max-message
//                              marks, rows; the module of the background work
//   segment           64 MiB   image of the open segment                        --segment-size
//   connections       78 MiB   sockets and sessions, 8 KiB each                 --max-connections
//   buffers           52 MiB   partial input and unread output                  --buffer
//   cold              29 MiB   windows of the log that are read back            9 % of the rest
//   tables             7 MiB   of the indexes on disk; all of one where much    2.2 % of the rest
//                              is searched for in it
//   frames             6 MiB   deliveries, used again and again                 a fiftieth
//   marks              3 MiB   acks that wait for the log, and failed deliveries a hundredth
//   buckets          133 MiB   buckets that are known, and what waits in the    what is left
//                              newest segments: 133 bytes for each bucket
//   cluster            0 MiB   of a node of a cluster: batches on their way     24 MiB there
//                              into the stream, or out of it
//   dedup             17 MiB   ids of messages that were published lately,      a twentieth, and
//                              where a rule says dedup: 32 bytes each of the    what buckets leave
//                              newest, 3 at most of those that are on disk
//
// Where a control group limits memory, the default is what it leaves beside the dashboard and the
// files that the system caches. The dashboard is a process of its own and not part of the budget.
// What is known of messages that wait (settled or not: a bit; failed deliveries: up to 2 bytes) has
// no share: 100 million take 12 MiB, and as much again while a full disk does not take their acks.

import { MARK_BYTES } from '../../assembly/layout.ts';
import type { Limits } from '../core/limits.ts';
import { formatSize } from '../core/text/units.ts';
import type { MemoryLimit } from './cgroup.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

const PROCESS_BYTES = 112 * MIB;
const AREA_BYTES = 8 * MIB;
const CONNECTION_BYTES = 8 * KIB;
const FRAME_BYTES = 1088 * KIB;
const CLUSTER_BYTES = 24 * MIB;
// One that is settled, and one that came back.
const MARKS_BYTES = 2 * MARK_BYTES;
// For each bucket: its columns and its cells in the directory, 80 bytes; three quarters of an entry
// of 44 bytes, as the newest segments may hold so many; a quarter of what indexing and compacting a
// segment take for each entry, 80 bytes.
const BUCKET_BYTES = 133;
// A quarter of the buckets may stand in each of the three segments that are in memory.
const BUCKETS_PER_SEGMENT_ENTRY = 4;
// Below these shares the broker would work badly or not at all.
const LEAST = {
  connections: 1000,
  buffers: 8 * MIB,
  cold: 8 * MIB,
  tables: 1 * MIB,
  frames: 2,
  marks: 16 * KIB,
  dedup: 64 * KIB,
  buckets: 2 ** 16,
};
// Beyond these more is of no use.
const MOST = {
  connections: 10_000,
  buffers: 128 * MIB,
  cold: 64 * MIB,
  tables: 64 * MIB,
  frames: 16,
  marks: 512 * KIB,
  dedup: 1024 * MIB,
  buckets: 2 ** 24,
};
const SEGMENT_STEP = 8 * MIB;
const SEGMENT_MOST = 64 * MIB;
// No budget is searched for beyond this.
const BUDGET_MOST = 64 * KIB * MIB;

// Unless messages need more.
const BUDGET_DEFAULT = 512 * MIB;
const ROOM_BYTES = 256 * MIB;

// Beside the broker in its control group: its dashboard, which has 62 MiB when it is idle and up to
// 90 when it is used; and the pages of the log on their way to the disk, sockets, the helper of the
// lock.
const DASHBOARD_BYTES = 96 * MIB;
const SYSTEM_BYTES = 32 * MIB;

/** What the user has said, and what has to fit. */
export interface MemoryWishes {
  /** Given by the user, else undefined; so are the last three. */
  budgetBytes: number | undefined;
  messageBytesMax: number;
  /** Bytes a segment must have for these messages. */
  segmentBytesMin: number;
  segmentBytes: number | undefined;
  connectionsMax: number | undefined;
  bufferBytesMax: number | undefined;
  /** What the control group allows; undefined: there is no limit. */
  limit?: MemoryLimit | undefined;
  /** The dashboard runs beside it. */
  dashboard?: boolean;
  /** It is a node of a cluster. */
  cluster?: boolean;
}

/** Caps that follow from the budget, beside those among the limits. */
export interface MemoryConfig {
  /** Resident memory of the broker's process, in bytes. */
  budgetBytes: number;
  /** Buckets that are remembered; idle ones are forgotten beyond it. */
  bucketsMax: number;
  /** Bytes of windows of the log that are read back from disk. */
  coldBytesMax: number;
  /** Bytes of tables of indexes that are kept. */
  tableBytesMax: number;
  /** Bytes that ids of messages take which were published lately. */
  idBytesMax: number;
  /** The shares in bytes, by part; their sum is at most the budget. */
  shares: Record<string, number>;
  /** What the control group allows, and what of it must be left to others. */
  limit?: (MemoryLimit & { othersBytes: number }) | undefined;
  /** The budget is what the limit leaves, not the usual one. */
  isLowered?: boolean;
}

export interface MemoryPlan {
  memory: MemoryConfig;
  limits: Pick<
    Limits,
    | 'segmentBytes'
    | 'connectionsMax'
    | 'bufferBytesMax'
    | 'segmentEntriesMax'
    | 'framesMax'
    | 'marksMax'
  >;
}

/** Divides the budget; or says why that cannot work, and what would. */
export function planMemory(wishes: MemoryWishes): MemoryPlan | string {
  const budgetBytes = wishes.budgetBytes ?? defaultFor(wishes);
  const isUsual = wishes.budgetBytes !== undefined || budgetBytes === usualFor(wishes);
  const plan = divide(wishes, budgetBytes);
  const { limit } = wishes;
  if (limit !== undefined) plan.memory.limit = { ...limit, othersBytes: othersOf(wishes) };
  if (!isUsual) plan.memory.isLowered = true;
  if (sumOf(plan) <= budgetBytes) return plan;
  const parts = Object.entries(plan.memory.shares)
    .map(([part, bytes]) => `${part} ${formatSize(bytes)}`)
    .join(', ');
  return (
    `--memory ${formatSize(budgetBytes)} is too little: with these settings the broker ` +
    `needs at least ${formatSize(leastFor(wishes))} (${parts}). Give it more, or less to ` +
    '--segment-size, --max-message, --max-connections or --buffer'
  );
}

function divide(wishes: MemoryWishes, budgetBytes: number): MemoryPlan {
  const { messageBytesMax } = wishes;
  const segmentBytes = wishes.segmentBytes ?? segmentFor(budgetBytes, wishes.segmentBytesMin);
  const areas = AREA_BYTES + 2 * messageBytesMax;
  const cluster = wishes.cluster === true ? CLUSTER_BYTES : 0;
  const rest = budgetBytes - PROCESS_BYTES - areas - segmentBytes - cluster;
  const share = (part: keyof typeof LEAST, fraction: number, unit: number, least = LEAST[part]) =>
    clamp(Math.floor((rest * fraction) / unit), least, Math.max(least, MOST[part]));
  const connectionsMax = wishes.connectionsMax ?? share('connections', 0.25, CONNECTION_BYTES);
  const buffersMin = Math.max(LEAST.buffers, 2 * messageBytesMax);
  const bufferBytesMax = wishes.bufferBytesMax ?? share('buffers', 0.16, 1, buffersMin);
  const coldBytesMax = share('cold', 0.09, 1, LEAST.cold + 2 * messageBytesMax);
  const tableBytesMax = share('tables', 0.022, 1);
  const framesMax = share('frames', 0.02, FRAME_BYTES);
  const marksMax = share('marks', 0.01, MARKS_BYTES);
  const shares: Record<string, number> = {
    process: PROCESS_BYTES,
    areas,
    segment: segmentBytes,
    connections: connectionsMax * CONNECTION_BYTES,
    buffers: bufferBytesMax,
    cold: coldBytesMax,
    tables: tableBytesMax,
    frames: framesMax * FRAME_BYTES,
    marks: marksMax * MARKS_BYTES,
    ...(cluster > 0 && { cluster }),
  };
  const left = budgetBytes - Object.values(shares).reduce((sum, bytes) => sum + bytes, 0);
  // Ids take no bucket of those that there must be.
  const spare = Math.max(0, left - LEAST.buckets * BUCKET_BYTES);
  const dedup = clamp(Math.floor(Math.min(rest * 0.05, spare)), LEAST.dedup, MOST.dedup);
  // The tables of the directory are full, and doubled, all at about the same number of buckets.
  const fits = 2 ** Math.floor(Math.log2(Math.max(1, (left - dedup) / BUCKET_BYTES)));
  const buckets = clamp(fits, LEAST.buckets, MOST.buckets);
  shares.buckets = buckets * BUCKET_BYTES;
  shares.dedup = clamp(Math.floor(left) - shares.buckets, dedup, MOST.dedup);
  const limits = { framesMax, marksMax };
  const segmentEntriesMax = buckets / BUCKETS_PER_SEGMENT_ENTRY;
  return {
    memory: {
      budgetBytes,
      bucketsMax: buckets - 1,
      coldBytesMax,
      tableBytesMax,
      idBytesMax: shares.dedup,
      shares,
    },
    limits: { ...limits, segmentBytes, connectionsMax, bufferBytesMax, segmentEntriesMax },
  };
}

// An eighth of the budget, in whole steps, unless messages need more.
function segmentFor(budgetBytes: number, least: number): number {
  const eighth = Math.floor(budgetBytes / 8 / SEGMENT_STEP) * SEGMENT_STEP;
  const needed = Math.ceil(least / (2 * SEGMENT_STEP)) * 2 * SEGMENT_STEP;
  return Math.max(needed, clamp(eighth, 2 * SEGMENT_STEP, SEGMENT_MOST));
}

function sumOf({ memory }: MemoryPlan): number {
  return Object.values(memory.shares).reduce((sum, bytes) => sum + bytes, 0);
}

/** Why the memory that is there may not do, and what would; undefined when it does. */
export function memoryComplaint({ budgetBytes, limit }: MemoryConfig): string | undefined {
  if (limit === undefined || budgetBytes + limit.othersBytes <= limit.bytes) return undefined;
  const needed = formatSize(budgetBytes + limit.othersBytes);
  return (
    `the broker may take ${formatSize(budgetBytes)} (--memory), and needs ` +
    `${formatSize(limit.othersBytes)} beside it, but the limit is ${formatSize(limit.bytes)} ` +
    `(${limit.name}): the system may end it without a word. Raise the limit to ${needed}, or give ` +
    'less to --memory'
  );
}

/** How the budget stands to the limit, for people. */
export function memoryText(memory: MemoryConfig): string {
  const complaint = memoryComplaint(memory);
  if (complaint !== undefined) return complaint;
  const { budgetBytes, limit } = memory;
  const allowed = limit === undefined ? 'no limit' : `of ${formatSize(limit.bytes)} allowed`;
  return `budget ${formatSize(budgetBytes)}, ${allowed}`;
}

function othersOf({ dashboard }: MemoryWishes): number {
  return SYSTEM_BYTES + (dashboard === false ? 0 : DASHBOARD_BYTES);
}

// Nobody who raises --max-message should have to work out the rest.
function usualFor(wishes: MemoryWishes): number {
  const own = { segmentBytes: undefined, connectionsMax: undefined, bufferBytesMax: undefined };
  return Math.max(BUDGET_DEFAULT, leastFor({ ...wishes, ...own }) + ROOM_BYTES);
}

// Where the limit leaves less than the least that works, the broker still starts, as it seldom
// needs all of it; it says that it may not be enough.
function defaultFor(wishes: MemoryWishes): number {
  const usual = usualFor(wishes);
  if (wishes.limit === undefined) return usual;
  const left = Math.floor((wishes.limit.bytes - othersOf(wishes)) / MIB) * MIB;
  return left >= usual ? usual : Math.min(usual, Math.max(left, leastFor(wishes)));
}

// The least whole MiB that would do.
function leastFor(wishes: MemoryWishes): number {
  let budgetBytes = MIB;
  while (sumOf(divide(wishes, budgetBytes)) > budgetBytes && budgetBytes < BUDGET_MOST)
    budgetBytes += MIB;
  return budgetBytes;
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(value, most));
}
