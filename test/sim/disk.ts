// The disk of a world: arms faults on calls to come, cuts power, flips bits; counts what struck.

import { baseOf } from '../../src/log/segments/segment.ts';
import type { Fault, MemoryFiles, Op } from '../support/memory-files.ts';
import type { Random } from '../support/random.ts';
import type { FaultKind, Tally } from './faults.ts';

const IN_LOG = /^[^/]*$/;
const IN_INDEX = /^index\//;

// Operations that each kind of failing call may strike.
const OPS: [kind: FaultKind, ops: Op[], name: RegExp][] = [
  ['write', ['write'], IN_LOG],
  ['sync', ['sync', 'syncDirectory'], IN_LOG],
  ['read', ['read'], IN_LOG],
  ['rename', ['rename', 'remove', 'open'], IN_LOG],
  ['index', ['write', 'read', 'open', 'rename', 'remove', 'sync'], IN_INDEX],
  ['short', ['write'], /^/],
];

// Bytes around a flipped bit that tell whether it is still the same file.
const AROUND = 256;

interface Flipped {
  name: string;
  at: number;
  bits: number;
  around: Uint8Array;
}

/** A file that somebody moved away under the broker. */
export interface Taken {
  name: string;
  /** Its name meanwhile. */
  away: string;
  atMs: number;
}

const AWAY = 'moved-away';

export class Disk {
  files: MemoryFiles;
  readonly #random: Random;
  readonly #tally: Tally;
  readonly #allowed: ReadonlySet<FaultKind>;
  #armed: { kind: FaultKind; fault: Fault }[] = [];
  // Those that struck, and may again.
  #striking: { kind: FaultKind; fault: Fault }[] = [];
  #damage: Flipped | undefined;
  taken: Taken | undefined;
  /** Kinds that struck in this life. */
  readonly struck = new Set<FaultKind>();

  constructor(files: MemoryFiles, random: Random, tally: Tally, allowed: ReadonlySet<FaultKind>) {
    this.files = files;
    files.auto = false;
    this.#random = random;
    this.#tally = tally;
    this.#allowed = allowed;
  }

  #strikes(kind: FaultKind): void {
    this.struck.add(kind);
    this.#tally.add(kind);
  }

  /** Arms one fault of any kind, if that kind is allowed. */
  arm(): void {
    const random = this.#random;
    const [kind, ops, name] = OPS[random.below(OPS.length)]!;
    const op = ops[random.below(ops.length)]!;
    // Few files are renamed, many bytes are written.
    const nth = 1 + random.below(kind === 'write' || kind === 'short' ? 12 : 3);
    const times = 1 + random.below(random.chance(0.2) ? 20 : 2);
    const short = 1 + random.below(5000);
    const partly = random.chance(0.3);
    if (!this.#allowed.has(kind)) return;
    const moves = kind === 'short' || (op === 'write' && partly) ? { short } : {};
    const code = kind === 'short' ? {} : { code: 'EIO' };
    const fault = this.files.fail({ op, nth, times, name, ...moves, ...code });
    this.#armed.push({ kind, fault });
  }

  /** Counts what struck since the last call. */
  poll(): void {
    for (const { kind, fault } of this.#armed) if (fault.fired > 0) this.#strikes(kind);
    this.#striking.push(...this.#armed.filter(({ fault }) => fault.fired > 0));
    this.#armed = this.#armed.filter(({ fault }) => fault.fired === 0);
  }

  /** Whether calls fail, now or soon: what follows from that is excused. */
  get armed(): boolean {
    return this.#armed.length > 0;
  }

  /** Nothing fails any more, and there is space. */
  heal(): void {
    this.poll();
    for (const { fault } of [...this.#armed, ...this.#striking]) fault.times = 0;
    this.#armed = [];
    this.#striking = [];
    this.files.capacity = Number.POSITIVE_INFINITY;
  }

  /** The disk has room for `bytes` more, for now. */
  fill(bytes: number): void {
    if (!this.#allowed.has('full')) return;
    this.files.capacity = this.files.usedBytes + bytes;
    this.wasLimited = true;
  }

  /** Whether there was little room at some time of this life. */
  wasLimited = false;

  get limited(): boolean {
    return this.files.capacity < Number.POSITIVE_INFINITY;
  }

  /** Counts that the broker noticed a full disk. */
  wasFull(): void {
    if (!this.struck.has('full')) this.#strikes('full');
  }

  /** Whether the last call that ended changed a name. */
  renamed = false;

  /** One call ends; false if none is under way. */
  step(): boolean {
    const { pending } = this.files;
    if (pending.length === 0) return false;
    let index = this.#random.below(pending.length);
    if (!this.#allowed.has('reorder')) index = 0;
    if (index > 0) this.#tally.add('reorder');
    const { op } = pending[index]!;
    this.renamed = op === 'rename' || op === 'remove';
    return this.files.step(index);
  }

  // --- the end of a process ---------------------------------------------------------------------

  #next(files: MemoryFiles): void {
    this.poll();
    this.#armed = [];
    this.struck.clear();
    this.wasLimited = files.capacity < Number.POSITIVE_INFINITY;
    this.#putBack(files);
    this.files = files;
    files.auto = false;
  }

  // A compacted segment may have taken its name, and stands for it.
  #putBack(files: MemoryFiles): void {
    if (this.taken === undefined) return;
    const { name, away } = this.taken;
    this.taken = undefined;
    files.take(away, files.names().includes(name) ? undefined : name);
  }

  /** Somebody moves a segment away that is on disk, one at a time. */
  take(nowMs: number): void {
    const { files } = this;
    const names = files
      .names()
      .filter((name) => baseOf(name) !== undefined && files.durable(name) !== undefined);
    // Mostly the newest ones: those that are written.
    const back = this.#random.below(this.#random.chance(0.7) ? 2 : Math.max(1, names.length));
    const name = names.at(-1 - back);
    if (!this.#allowed.has('taken') || name === undefined || this.taken !== undefined) return;
    files.take(name, AWAY);
    this.taken = { name, away: AWAY, atMs: nowMs };
    this.#strikes('taken');
  }

  /** The process dies. */
  kill(): void {
    this.#tally.add('kill');
    this.#next(this.files.kill());
  }

  /** Power is lost; `worst`: everything in doubt is lost. */
  crash(worst: boolean): void {
    const random = this.#random;
    const tear = this.#allowed.has('tear');
    let doubts = 0;
    const share = [0.1, 0.5, 0.9][random.below(3)]!;
    const files = this.files.crash((doubt) => {
      doubts++;
      const fate = random.chance(share) ? 'keep' : 'lose';
      if (worst) return 'lose';
      if (doubt.kind !== 'page' || !tear || !random.chance(0.3)) return fate;
      this.#tally.add('tear');
      return 'tear';
    }, random);
    this.#tally.add('power cuts');
    if (doubts > 0) this.#tally.add('crash');
    this.#next(files);
  }

  /** The process ended by itself. */
  exit(): void {
    this.#next(this.files.kill());
  }

  // --- bits that change -------------------------------------------------------------------------

  #flip(kind: FaultKind, name: string, at: number): void {
    const bits = 1 << this.#random.below(8);
    this.files.flip(name, at, bits);
    if (kind === 'damage') this.#damage = { name, at, bits, around: this.#around(name, at) };
    this.#strikes(kind);
  }

  /** A bit of some cache changes. */
  flipCache(): void {
    const names = this.files.namesIn('index/').sort();
    const pick = this.#random.next();
    const place = this.#random.next();
    if (!this.#allowed.has('flip') || names.length === 0) return;
    const name = names[pick % names.length]!;
    const size = this.files.image(name).length;
    if (size > 0) this.#flip('flip', name, place % size);
  }

  /** A bit of a segment changes, before position `to`. */
  damage(to: number): void {
    const names = this.files.names().filter((name) => (baseOf(name) ?? to) < to);
    const pick = this.#random.next();
    const place = this.#random.next();
    if (!this.#allowed.has('damage') || names.length === 0 || this.#damage !== undefined) return;
    const name = names[pick % names.length]!;
    const size = Math.min(this.files.image(name).length, to - baseOf(name)!);
    if (size > 0) this.#flip('damage', name, place % size);
  }

  get damaged(): boolean {
    return this.#damage !== undefined;
  }

  /** Somebody puts the damaged bit back, if its file is there still. */
  repair(): void {
    if (this.#damage === undefined) return;
    const { name, at, bits, around } = this.#damage;
    this.#damage = undefined;
    if (!this.files.names().includes(name)) return;
    // A compacted segment may have taken its name.
    if (Buffer.compare(this.#around(name, at), around) === 0) this.files.flip(name, at, bits);
  }

  #around(name: string, at: number): Uint8Array {
    return this.files.image(name).slice(Math.max(0, at - AROUND), at + AROUND);
  }
}
