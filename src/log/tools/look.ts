// Reads a log that may be in service: segments are begun, compacted and given back while they are
// read, and the file behind an open handle may be used again for another one. What was read counts
// only if its name still led to the same segment afterwards; otherwise it is read again, as what
// stands in its place by then. A log at rest is read once, as it is.
//
//   a name is gone, or leads to another header   what was read of it is dropped; the folder is
//                                                listed again, and reading goes on from there
//   the last segment says that the log goes on   listed again, too: another one has begun
//   a bad spot that something behind it proves   looked at again (Look.doubt): a record that was
//   to have been synced                          on its way at the first look is there by now
//
// A segment's header says when it was made and where it stands, and is written before the file has
// its name. So a file that has the same name and header before and after it was read was that
// segment all the time.

import { SEGMENT_HEADER_BYTES } from '../../../assembly/layout.ts';
import type { Position } from '../../core/ports/basics.ts';
import type { FilesToRead } from '../files/files.ts';
import { list, open, settle } from '../files/promises.ts';
import { readFully } from '../scan/scan.ts';
import { baseOf } from '../segments/segment.ts';
import { noteProblem, openForTools, type ToolInventory, type ToolSegment } from './segment-walk.ts';

/** What is done with the segments. */
export interface Look {
  /** Reads a segment; whether its last batch says that the log goes on in the next one. */
  read(segment: ToolSegment): Promise<boolean>;
  /** What was read from there on does not count: it is read again. */
  backTo(base: Position): void | Promise<void>;
  /** The segment never held still: it is passed over. */
  pass?(segment: ToolSegment): void;
  /** All was read: a segment of which a finding did not stand a second look, if there is any. */
  doubt?(): Promise<ToolSegment | undefined>;
}

export interface Looked {
  /** What was read, oldest first. */
  segments: ToolSegment[];
  leftovers: string[];
  foreign: string[];
  /** Segments that were begun, compacted or given back meanwhile. */
  moved: string[];
  /** Those that could not be read as one and the same segment, however often. */
  unjudged: string[];
  /** False: the log grew faster than it was read, and was not read to its end. */
  ended: boolean;
}

// How often a place in the log is read again, the folder listed, and a growing log followed.
const TRIES_MAX = 8;
const LISTINGS_MAX = 20;
const FOLLOW_MAX = 8;

/** Reads all segments, oldest first. Throws what the system says about the folder. */
export async function lookThrough(
  files: FilesToRead,
  look: Look,
  progress: (done: number, total: number) => void,
): Promise<Looked> {
  const looking = new Looking(files, look);
  try {
    return await looking.run(progress);
  } finally {
    await looking.close();
  }
}

class Looking {
  readonly #files: FilesToRead;
  readonly #look: Look;
  readonly #read: { segment: ToolSegment; last: boolean }[] = [];
  #waiting: ToolSegment[] = [];
  #inventory: ToolInventory | undefined;
  readonly #moved = new Set<string>();
  readonly #unjudged = new Set<string>();
  readonly #tries = new Map<Position, number>();
  #followed = 0;

  constructor(files: FilesToRead, look: Look) {
    this.#files = files;
    this.#look = look;
  }

  async run(progress: (done: number, total: number) => void): Promise<Looked> {
    await this.#list();
    for (;;) {
      const segment = this.#waiting.shift();
      if (segment === undefined) {
        if (await this.#again()) continue;
        break;
      }
      await this.#readOne(segment);
      progress(this.#read.length, this.#read.length + this.#waiting.length);
    }
    const { leftovers, foreign } = this.#inventory!;
    return {
      segments: this.#read.map(({ segment }) => segment),
      leftovers,
      foreign,
      moved: [...this.#moved].sort(),
      unjudged: [...this.#unjudged].sort(),
      ended: this.#followed <= FOLLOW_MAX,
    };
  }

  async close(): Promise<void> {
    for (const segment of this.#waiting.splice(0)) await this.#close(segment);
  }

  async #readOne(segment: ToolSegment): Promise<void> {
    let last = false;
    try {
      last = await this.#look.read(segment);
    } finally {
      await this.#close(segment);
    }
    if (await isThere(this.#files, segment)) {
      this.#read.push({ segment, last });
      return;
    }
    this.#moved.add(segment.name);
    await this.#readAgain(segment);
  }

  async #readAgain(segment: ToolSegment): Promise<void> {
    const { base } = segment;
    await this.#dropFrom(base);
    const tries = (this.#tries.get(base) ?? 0) + 1;
    this.#tries.set(base, tries);
    if (tries < TRIES_MAX) return this.#list(base);
    this.#unjudged.add(segment.name);
    this.#look.pass?.(segment);
    this.#read.push({ segment, last: false });
    return this.#list(segment.end);
  }

  // Whether there is more to read when all that was listed has been.
  async #again(): Promise<boolean> {
    const newest = this.#read.at(-1);
    if (newest?.last === true && this.#followed <= FOLLOW_MAX) {
      this.#followed++;
      await this.#list(newest.segment.end);
      for (const { name } of this.#waiting) this.#moved.add(name);
      if (this.#waiting.length > 0) return true;
      this.#followed = 0; // the next one is not there: there is nothing to follow
    }
    const doubted = await this.#look.doubt?.();
    if (doubted === undefined) return false;
    await this.#readAgain(doubted);
    return true;
  }

  async #dropFrom(base: Position): Promise<void> {
    const from = this.#read.findIndex(({ segment }) => segment.base >= base);
    if (from >= 0) this.#read.splice(from);
    await this.#look.backTo(base);
  }

  // Lists the folder; what ends at or before `from` was read. If a compacted segment stands for more
  // than what is left, all of it is read.
  async #list(from: Position = -1): Promise<void> {
    await this.close();
    this.#inventory = await openSettled(this.#files);
    const { segments } = this.#inventory;
    const next = segments.find(({ end }) => end > from);
    const begin = next === undefined ? Number.POSITIVE_INFINITY : next.base;
    if (begin < from) await this.#dropFrom(begin);
    for (const segment of segments)
      if (segment.base >= begin) this.#waiting.push(segment);
      else await this.#close(segment);
  }

  async #close({ handle }: ToolSegment): Promise<void> {
    if (handle >= 0) await settle((done) => this.#files.close(handle, done));
  }
}

/**
 * Whether a segment's name still leads to it, as it was when it was opened. That it cannot be read
 * any more is a problem of the segment, not motion.
 */
export async function isThere(files: FilesToRead, segment: ToolSegment): Promise<boolean> {
  const { name, head, gone } = segment;
  if (head === undefined) return gone !== true;
  try {
    const { handle } = await open(files, name);
    try {
      const now = await headOf(files, handle);
      return now.length === head.length && now.every((byte, i) => byte === head[i]);
    } finally {
      await settle((done) => files.close(handle, done));
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    noteProblem(segment, error);
    return true;
  }
}

async function headOf(files: FilesToRead, handle: number): Promise<Uint8Array> {
  const head = new Uint8Array(SEGMENT_HEADER_BYTES);
  return head.subarray(0, await readFully(files, handle, head, 0));
}

// The segments of one moment: a name that is being replaced may be missing from a listing.
async function openSettled(files: FilesToRead): Promise<ToolInventory> {
  for (let listings = 1; ; listings++) {
    const inventory = await openForTools(files);
    const names = new Set((await list(files)).filter((name) => baseOf(name) !== undefined));
    const opened = [
      ...inventory.segments.map(({ name }) => name),
      ...inventory.leftovers.filter((name) => baseOf(name) !== undefined),
    ];
    const isSame = opened.length === names.size && opened.every((name) => names.has(name));
    if (isSame || listings >= LISTINGS_MAX) return inventory;
    for (const { handle } of inventory.segments)
      if (handle >= 0) await settle((done) => files.close(handle, done));
  }
}
