// Logs that are bent one place at a time: every truncation, every flipped bit, every misplaced
// record, every small accident in the folder. Who is in doubt refuses; nothing else may be lost.

import assert from 'node:assert/strict';
import {
  RECORD_ALIGN,
  RECORD_BODY_BYTES_AT,
  RECORD_HEADER_BYTES,
  RECORD_START,
  SEGMENT_DATA_AT,
  SEGMENT_HEADER_BYTES,
} from '../../assembly/layout.ts';
import { segmentName } from '../../src/log/segments/segment.ts';
import { type BatchPlan, type Built, buildSegment, Collector, filesOf } from '../log/harness.ts';
import type { MemoryFiles } from '../support/memory-files.ts';
import { Random } from '../support/random.ts';
import { goOn, startOn } from './goes-on.ts';
import { type CaseOptions, type Counts, count, type Part, spread } from './part.ts';

const KIB = 1024;

/** Random batches that fill a segment almost; each but the last is proved by the one behind it. */
export function fullSegment(random: Random, bytes: number, plan = {}, last = false): Built {
  const batches: BatchPlan[] = [{ control: [[RECORD_START, 1, 1000]] }];
  let sequence = 1;
  // Some room is left for what is published after the start.
  for (let room = bytes - SEGMENT_DATA_AT - 2 * KIB; room > 0; ) {
    const messages = Array.from({ length: 1 + random.below(4) }, () => ({
      bucket: 1 + random.below(3),
      body: bodyOf(random),
    }));
    const batch: BatchPlan = { messages };
    room -= messages.reduce((sum, { body }) => sum + body.length + 80, 320);
    if (room <= 0) break;
    if (sequence > 8 && random.below(3) === 0)
      batch.settled = [{ sequence: 1 + random.below(sequence - 4), count: 1 + random.below(3) }];
    if (sequence > 8 && random.below(3) === 0)
      batch.returned = [{ sequence: 1 + random.below(sequence - 2), count: 1, attempts: 2 }];
    batches.push(batch);
    sequence += messages.length;
  }
  if (last) batches.push({ last: true });
  return buildSegment({ bytes, ...plan }, batches);
}

function bodyOf(random: Random): Uint8Array {
  return Uint8Array.from({ length: 1 + random.below(300) }, () => random.below(256));
}

/** Ranges of the records of a segment. */
export function recordsOf({ image, offsets }: Built): [from: number, to: number][] {
  const view = new DataView(image.buffer, image.byteOffset);
  const found: [number, number][] = [];
  for (let at = SEGMENT_DATA_AT; at < offsets.at(-1)!; ) {
    const end = at + RECORD_HEADER_BYTES + view.getUint32(at + RECORD_BODY_BYTES_AT, true);
    const to = Math.ceil(end / RECORD_ALIGN) * RECORD_ALIGN;
    found.push([at, to]);
    at = to;
  }
  return found;
}

/** Bytes between header and first record, padding, and what stands behind the last record. */
function uncovered(built: Built): Set<number> {
  const found = new Set<number>();
  const note = (from: number, to: number) => {
    for (let at = from; at < to; at++) found.add(at);
  };
  note(SEGMENT_HEADER_BYTES, SEGMENT_DATA_AT);
  const view = new DataView(built.image.buffer, built.image.byteOffset);
  for (const [from, to] of recordsOf(built))
    note(from + RECORD_HEADER_BYTES + view.getUint32(from + RECORD_BODY_BYTES_AT, true), to);
  note(built.offsets.at(-1)!, built.image.length);
  return found;
}

/** What is in the log after each number of batches. */
async function prefixes(built: Built): Promise<Collector[]> {
  const found: Collector[] = [new Collector()];
  for (const end of built.offsets.slice(1)) {
    const image = built.image.slice();
    image.fill(0, end);
    const got = await startOn(filesOf({ ...built, image }));
    assert.ok(got instanceof Collector, 'a whole log was refused');
    found.push(got);
  }
  return found;
}

function same(got: Collector, expected: Collector, why: string): void {
  assert.deepEqual(got.messages, expected.messages, `${why}: not these messages`);
  assert.deepEqual(got.settled, expected.settled, `${why}: not these acks`);
  assert.deepEqual(got.attempts, expected.attempts, `${why}: not these attempts`);
}

/** A log of one segment, made from the seed when the first case is run. */
abstract class OneLog implements Part {
  abstract readonly name: string;
  abstract readonly cases: number;
  readonly counts: Counts = {};
  readonly skipped: string[] = [];
  readonly bytes: number;
  #seed: number | undefined;
  built!: Built;
  whole!: Collector[];

  constructor(bytes: number) {
    this.bytes = bytes;
  }

  async run(options: CaseOptions): Promise<void> {
    if (this.#seed !== options.seed) {
      this.#seed = options.seed;
      this.built = fullSegment(new Random(options.seed), this.bytes);
      this.whole = await prefixes(this.built);
    }
    await this.bend(spread(options.index, this.cases, options.seed));
  }

  abstract bend(at: number): Promise<void>;

  async close(): Promise<void> {}
}

/** Every length of a 64 KiB log: as a file cut short, and as a tail of zeros. */
export class Truncations extends OneLog {
  readonly name = 'truncate';
  readonly cases = 2 * 64 * KIB;

  constructor() {
    super(64 * KIB);
  }

  async bend(at: number): Promise<void> {
    const { built, whole } = this;
    const to = at >> 1;
    count(this.counts, 'truncations');
    if ((at & 1) === 0) {
      const cut = filesOf({ ...built, image: built.image.slice(0, to) });
      const refused = await startOn(cut);
      assert.equal(refused, 'damaged', `a file cut to ${to} bytes was taken`);
      count(this.counts, 'refused');
      return;
    }
    const image = built.image.slice();
    image.fill(0, to);
    const files = filesOf({ ...built, image });
    const why = `zeros from ${to} on`;
    const got = await startOn(files);
    if (to < SEGMENT_HEADER_BYTES && typeof got === 'string') {
      count(this.counts, 'refused');
      return;
    }
    assert.ok(got instanceof Collector, `${why}: refused as ${got}`);
    // Zeros may stand there already.
    const intact = (end: number) =>
      Buffer.compare(image.subarray(0, end), built.image.subarray(0, end)) === 0;
    same(got, whole[Math.max(0, built.offsets.findLastIndex(intact))]!, why);
    await goOn(files, got, this.bytes);
  }
}

/** Every bit of a 16 KiB log. */
export class Flips extends OneLog {
  readonly name = 'flip';
  readonly cases = 16 * KIB * 8;
  #harmless: Set<number> | undefined;
  #of: Built | undefined;

  constructor() {
    super(16 * KIB);
  }

  async bend(at: number): Promise<void> {
    const { built, whole } = this;
    if (this.#of !== built) this.#harmless = uncovered(built);
    this.#of = built;
    const offset = at >> 3;
    const why = `bit ${at & 7} of offset ${offset}`;
    const image = built.image.slice();
    image[offset]! ^= 1 << (at & 7);
    const files = filesOf({ ...built, image });
    count(this.counts, 'flips');
    const got = await startOn(files);
    const lastAt = built.offsets.at(-2)!;
    if (this.#harmless!.has(offset)) {
      assert.ok(got instanceof Collector, `${why}: refused as ${got}, but nobody reads it`);
      same(got, whole.at(-1)!, why);
    } else if (offset < lastAt) {
      assert.equal(typeof got, 'string', `${why}: taken, although it was synced`);
      count(this.counts, 'refused');
      return;
    } else {
      assert.ok(got instanceof Collector, `${why}: refused as ${got}, but nothing proves it`);
      same(got, whole.at(-2)!, why);
    }
    await goOn(files, got, this.bytes);
  }
}

const SEGMENTS = 4;
const SMALL = 8 * KIB;
const POSITIONS = Array.from({ length: SEGMENTS + 3 }, (_, i) => segmentName(i * SMALL));
const OTHER_NAMES = ['next.tmp', 'compact.tmp', 'spare-9.tmp', 'copy.log', '1.log', 'lost+found'];
const TO_NAMES = [...POSITIONS, segmentName(512), segmentName(2 ** 50), ...OTHER_NAMES];

interface Accident {
  why: string;
  apply: (files: MemoryFiles) => void;
}

/** Four full segments and an empty one, and what can happen to each of their files. */
function accidents(segments: readonly Built[]): Accident[] {
  const found: Accident[] = [];
  const note = (why: string, apply: (files: MemoryFiles) => void) => found.push({ why, apply });
  for (const { name, image } of segments) {
    note(`${name} missing`, (files) => files.take(name));
    note(`${name} empty`, (files) => files.put(name, new Uint8Array(0)));
    note(`${name} all zeros`, (files) => files.put(name, new Uint8Array(image.length)));
    note(`${name} longer`, (files) => files.put(name, Buffer.concat([image, image])));
    for (const bytes of [1, 63, 64, 512, 4095, 4096, image.length - 1])
      note(`${name} cut to ${bytes}`, (files) => files.put(name, image.subarray(0, bytes)));
    for (const to of TO_NAMES) {
      if (to === name) continue;
      note(`${name} renamed to ${to}`, (files) => {
        if (files.names().includes(name)) files.take(name, to);
      });
      note(`${name} copied to ${to}`, (files) => files.put(to, image));
    }
  }
  for (const { name } of segments)
    for (const other of segments)
      if (other.name > name)
        note(`${name} and ${other.name} swapped`, (files) => {
          const [one, two] = [name, other.name].map((each) => files.image(each).slice());
          files.put(name, two!);
          files.put(other.name, one!);
        });
  return found;
}

/** Every small accident in the folder, every pair of them, and every record at another's place. */
export class Directory implements Part {
  readonly name = 'directory';
  readonly counts: Counts = {};
  readonly skipped: string[] = [];
  cases = Number.POSITIVE_INFINITY;
  #seed: number | undefined;
  #segments: Built[] = [];
  #accidents: Accident[] = [];
  #records: { segment: number; from: number; to: number }[] = [];
  #whole!: Collector;

  async run({ seed, index }: CaseOptions): Promise<void> {
    if (this.#seed !== seed) await this.#make(seed);
    const singles = this.#accidents.length;
    const moves = this.#records.length ** 2;
    const at = spread(index, this.cases, seed);
    if (at < singles) await this.#accident([this.#accidents[at]!]);
    else if (at < singles + moves) await this.#move(at - singles);
    else {
      const pair = at - singles - moves;
      const two = [this.#accidents[Math.floor(pair / singles)]!, this.#accidents[pair % singles]!];
      await this.#accident(two);
    }
  }

  async #make(seed: number): Promise<void> {
    this.#seed = seed;
    const random = new Random(seed);
    this.#segments = [];
    let sequence = 1;
    for (let i = 0; i < SEGMENTS; i++) {
      const plan = { base: i * SMALL, sequence };
      const built = fullSegment(random, SMALL, plan, i < SEGMENTS - 1);
      this.#segments.push(built);
      sequence = built.sequence;
    }
    this.#segments.push(buildSegment({ base: SEGMENTS * SMALL, bytes: SMALL, sequence }, []));
    const whole = await startOn(filesOf(...this.#segments));
    assert.ok(whole instanceof Collector);
    this.#whole = whole;
    this.#accidents = accidents(this.#segments);
    this.#records = this.#segments
      .slice(0, SEGMENTS)
      .flatMap((built, segment) => recordsOf(built).map(([from, to]) => ({ segment, from, to })));
    this.cases = this.#accidents.length + this.#records.length ** 2 + this.#accidents.length ** 2;
  }

  async #accident(list: Accident[]): Promise<void> {
    const files = filesOf(...this.#segments);
    const why = list.map((each) => each.why).join(', ');
    for (const { apply, why: one } of list) {
      // Of two, the first may have taken away what the second is about.
      const names = files.names();
      const needed = one.includes('missing') || one.includes('swapped');
      if (
        needed &&
        !one.split(' ').every((word) => !POSITIONS.includes(word) || names.includes(word))
      )
        continue;
      apply(files);
    }
    count(this.counts, list.length === 1 ? 'accidents' : 'pairs of accidents');
    await this.#judge(files, why);
  }

  // The log as it was before the batch at, or around, `offset` of its last segment.
  async #before(offset: number): Promise<Collector> {
    const tail = this.#segments[SEGMENTS - 1]!;
    const image = tail.image.slice();
    image.fill(0, Math.max(...tail.offsets.filter((each) => each <= offset)));
    const others = this.#segments.filter((each) => each !== tail);
    const before = await startOn(filesOf(...others, { ...tail, image }));
    assert.ok(before instanceof Collector);
    return before;
  }

  async #move(index: number): Promise<void> {
    const from = this.#records[index % this.#records.length]!;
    const to = this.#records[Math.floor(index / this.#records.length)]!;
    const bytes = this.#segments[from.segment]!.image.subarray(from.from, from.to);
    const target = this.#segments[to.segment]!;
    if (to.from + bytes.length > target.image.length) return;
    const image = target.image.slice();
    image.set(bytes, to.from);
    const files = filesOf(...this.#segments);
    files.put(target.name, image);
    count(this.counts, 'misplaced records');
    // What proves a batch durable is the batch behind it. Where the last one is damaged, too, all
    // from the first damaged one on looks as a torn tail does, and is cut; nothing before it is.
    const lastAt = this.#segments[SEGMENTS - 1]!.offsets.at(-2)!;
    const inLast = to.segment === SEGMENTS - 1 && to.from + bytes.length > lastAt;
    const why = `record at ${from.from} over ${to.from} of ${target.name}`;
    await this.#judge(files, why, inLast ? to.from : undefined);
  }

  async #judge(files: MemoryFiles, why: string, cutAt?: number): Promise<void> {
    const got = await startOn(files).catch((error) => {
      throw new Error(`${why}: ${error.message}`, { cause: error });
    });
    if (typeof got === 'string') {
      count(this.counts, 'refused');
      return;
    }
    const cut = cutAt !== undefined && got.messages.size < this.#whole.messages.size;
    same(got, cut ? await this.#before(cutAt) : this.#whole, why);
    await goOn(files, got, SMALL);
    count(this.counts, 'went on');
  }

  async close(): Promise<void> {}
}
