// The Files port in memory: a disk with a page cache in front of it, whose completions, faults and
// crashes a test decides; folders share one disk, one crash and one plan of faults. Strict where
// POSIX is vague: a name is durable only after a directory sync, a sync covers only what was
// written before it was called, and a failed sync leaves pages that look clean and are not on disk.
// It knows nothing about the log.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Done, Files, Handle, Leads } from '../../src/log/files/files.ts';
import { Random } from './random.ts';

export type Op =
  | 'list'
  | 'open'
  | 'read'
  | 'write'
  | 'truncate'
  | 'sync'
  | 'syncDirectory'
  | 'rename'
  | 'remove'
  | 'close'
  | 'follow'
  | 'free';

/** A fault to come; `fired` says how often it has. */
export interface Fault {
  op: Op;
  /** Which of the matching calls from now on, 1 = the next one. */
  nth: number;
  /** Error code; without one the call succeeds, but see `short`. */
  code?: string;
  /** Only calls on this name (as it is when the call is made). */
  name?: RegExp;
  /** How many calls in a row; default 1. */
  times?: number;
  /** Reads and writes: only so many bytes are moved. */
  short?: number;
  fired: number;
}

/** A call that waits for its turn. */
export interface Pending {
  op: Op;
  name: string;
  run: () => void;
}

/** What a crash asks about: a page with bytes that no sync covered, a change of a name, a cut. */
export type Doubt =
  | { kind: 'page'; name: string; page: number }
  | { kind: 'entry'; change: 'create' | 'rename' | 'remove' | 'cut'; name: string };
/** `tear`: some of the page's sectors; for an entry the same as `keep`. */
export type Fate = 'keep' | 'lose' | 'tear';

export const PAGE_BYTES = 4096;
export const SECTOR_BYTES = 512;

const SOON = Promise.resolve();
const NOTHING = new Uint8Array(0);
// What tests hold and may change at any time: it is no other file's, and not written to.
const LENT = new WeakSet<Uint8Array>();

// Shared bytes do not change, so theirs are kept.
const HASHES = new WeakMap<Uint8Array, string>();

function hashOf(bytes: Uint8Array, shared: boolean): string {
  const known = shared ? HASHES.get(bytes) : undefined;
  if (known !== undefined) return known;
  const hash = createHash('sha1').update(bytes).digest('base64');
  if (shared) HASHES.set(bytes, hash);
  return hash;
}

function unlent(bytes: Uint8Array): Uint8Array {
  return LENT.has(bytes) ? bytes.slice() : bytes;
}

class Inode {
  // Copies share their bytes until one of them changes: a test forks a disk a million times.
  #cache: Uint8Array = NOTHING;
  #disk: Uint8Array = NOTHING;
  #cacheShared = true;
  #diskShared = true;
  /** Pages that differ from disk and that the next sync will write. */
  readonly dirty = new Set<number>();
  /** Pages that differ from disk although the system calls them clean: a failed sync's work. */
  readonly lies = new Set<number>();
  // Which write of a page is in the cache and which on disk, as syncs may end out of order.
  readonly #written = new Map<number, number>();
  readonly #settled = new Map<number, number>();

  /** A file with these bytes, all of them on disk. They must never change afterwards. */
  static of(bytes: Uint8Array): Inode {
    const inode = new Inode();
    inode.#cache = bytes;
    inode.#disk = bytes;
    return inode;
  }

  /** What a reader sees; not to be changed. */
  get cache(): Uint8Array {
    return this.#cache;
  }

  /** What is on disk; not to be changed. */
  get disk(): Uint8Array {
    return this.#disk;
  }

  /** What is on disk, for another file to have. */
  shareDisk(): Uint8Array {
    this.#diskShared = true;
    return unlent(this.#disk);
  }

  /** The bytes for a test to change: in the cache and, if nothing is in doubt, on disk, too. */
  lend(): Uint8Array {
    if (this.#cacheShared) this.#cache = this.#cache.slice();
    this.#cacheShared = false;
    LENT.add(this.#cache);
    if (this.dirty.size === 0 && this.lies.size === 0) {
      this.cutTo = Number.POSITIVE_INFINITY;
      this.#disk = this.#cache;
      this.#diskShared = false;
    }
    return this.#cache;
  }

  // Before bytes change: from now on they are of this file only, of its cache or of its disk.
  #ownCache(length: number): void {
    const isShared = this.#cacheShared || this.#cache === this.#disk || LENT.has(this.#cache);
    if (!isShared && this.#cache.length >= length) return;
    this.#cache = grown(this.#cache, length, !isShared);
    this.#cacheShared = false;
  }

  #ownDisk(length: number): void {
    const isShared = this.#diskShared || this.#cache === this.#disk || LENT.has(this.#disk);
    if (!isShared && this.#disk.length >= length) return;
    this.#disk = grown(this.#disk, length, !isShared);
    this.#diskShared = false;
  }

  write(bytes: Uint8Array, at: number): void {
    this.#ownCache(at + bytes.length);
    this.#cache.set(bytes, at);
    for (let page = Math.floor(at / PAGE_BYTES); page * PAGE_BYTES < at + bytes.length; page++)
      this.#note(page);
  }

  /** Flips bits of one byte in the cache and on disk. */
  flip(at: number, bits: number): void {
    this.#ownDisk(0);
    this.#ownCache(0);
    for (const bytes of [this.#cache, this.#disk]) if (at < bytes.length) bytes[at]! ^= bits;
  }

  /** Size to which the file was cut since the last sync. */
  cutTo = Number.POSITIVE_INFINITY;

  truncate(bytes: number): void {
    if (bytes < this.#cache.length) {
      this.#cache = this.#cache.slice(0, bytes);
      this.#cacheShared = false;
    }
    this.cutTo = Math.min(this.cutTo, bytes);
    for (const pages of [this.dirty, this.lies])
      for (const page of pages) if (page * PAGE_BYTES >= bytes) pages.delete(page);
  }

  /** The cut is on disk. */
  cut(): void {
    if (this.cutTo < this.#disk.length) {
      this.#disk = this.#disk.slice(0, this.cutTo);
      this.#diskShared = false;
    }
    this.cutTo = Number.POSITIVE_INFINITY;
  }

  #note(page: number): void {
    this.dirty.add(page);
    this.#written.set(page, this.version(page) + 1);
  }

  version(page: number): number {
    return this.#written.get(page) ?? 0;
  }

  /** A sync that saw this version of a page ended; gives whether nothing newer was written. */
  synced(page: number, bytes: Uint8Array, version: number): boolean {
    if (version > (this.#settled.get(page) ?? -1)) {
      this.#settled.set(page, version);
      this.settle(page, bytes);
    }
    return this.version(page) === version;
  }

  /** Another file with the same bytes and the same doubts. */
  copy(): Inode {
    const copy = new Inode();
    this.#cacheShared = true;
    this.#diskShared = true;
    copy.#cache = unlent(this.#cache);
    copy.#disk = unlent(this.#disk);
    copy.cutTo = this.cutTo;
    for (const page of this.dirty) copy.dirty.add(page);
    for (const page of this.lies) copy.lies.add(page);
    for (const [page, version] of this.#written) copy.#written.set(page, version);
    for (const [page, version] of this.#settled) copy.#settled.set(page, version);
    return copy;
  }

  /** Equal if and only if two files are, with all that is in doubt. */
  fingerprint(): string {
    const doubts = [this.dirty, this.lies].map((pages) => [...pages].sort((a, b) => a - b).join());
    const cache = hashOf(this.#cache, this.#cacheShared);
    const disk = this.#disk === this.#cache ? cache : hashOf(this.#disk, this.#diskShared);
    return [cache, disk, this.cutTo, ...doubts].join(' ');
  }

  page(page: number): Uint8Array {
    return this.cache.slice(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
  }

  /** Puts bytes of a page on disk. */
  settle(page: number, bytes: Uint8Array, from = 0, to = bytes.length): void {
    const at = page * PAGE_BYTES;
    this.#ownDisk(at + to);
    this.#disk.set(bytes.subarray(from, to), at + from);
  }
}

// The caller's own bytes get room to grow into: a large file is written a page at a time.
function grown(bytes: Uint8Array, length: number, isOwn: boolean): Uint8Array {
  const { buffer } = bytes;
  if (isOwn && buffer.byteLength >= length) return new Uint8Array(buffer, 0, length);
  const room = isOwn ? Math.max(length, 2 * bytes.length) : Math.max(bytes.length, length);
  const to = new Uint8Array(new ArrayBuffer(room), 0, Math.max(bytes.length, length));
  to.set(bytes);
  return to;
}

interface Change {
  change: 'create' | 'rename' | 'remove';
  name: string;
  to: string;
  inode: Inode;
}

// Without a stack, as the errors of real calls are: a stack is dear, and most are a file not there.
function failure(code: string, op: string): Error {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  const error = new Error(`${code}: injected, ${op}`);
  Error.stackTraceLimit = limit;
  return Object.assign(error, { code, syscall: op });
}

export class MemoryFiles implements Files {
  #names = new Map<string, Inode>();
  #durable = new Map<string, Inode>();
  #changes: Change[] = [];
  readonly #handles = new Map<Handle, { inode: Inode; name: string }>();
  #lastHandle = 2;
  readonly #faults: Fault[] = [];
  readonly #counts = new Map<Op, number>();
  #dead = false;
  /** Calls that have not happened yet, oldest first. */
  readonly pending: Pending[] = [];
  #auto = true;
  /** Bytes that all files together may have. */
  capacity = Number.POSITIVE_INFINITY;

  // --- what tests ask and do ------------------------------------------------------------------

  /**
   * Whether calls happen by themselves, in order, right after the caller is done. Once it is set,
   * so do those that wait: otherwise each further call would only make way for one of them, and
   * the last ones would never happen.
   */
  get auto(): boolean {
    return this.#auto;
  }

  set auto(auto: boolean) {
    const begins = auto && !this.#auto;
    this.#auto = auto;
    if (begins) for (let i = 0; i < this.pending.length; i++) this.#stepSoon();
  }

  // As queueMicrotask, without the async context that it makes each time.
  #stepSoon(): void {
    void SOON.then(() => this.#auto && this.step());
  }

  /** Calls made so far. */
  count(op: Op): number {
    return this.#counts.get(op) ?? 0;
  }

  /** Calls that could have changed a byte or a name. */
  get changes(): number {
    const ops = ['write', 'truncate', 'rename', 'remove'] as const;
    return ops.reduce((sum, op) => sum + this.count(op), 0);
  }

  get openHandles(): number {
    return this.#handles.size;
  }

  /** Arms a fault; assert on `fired` afterwards, or the test may have tested nothing. */
  fail(fault: Omit<Fault, 'fired'>): Fault {
    const armed = { ...fault, fired: 0 };
    this.#faults.push(armed);
    return armed;
  }

  names(): string[] {
    return this.namesIn('').sort();
  }

  /** Names in the folder whose names begin with `prefix` (folder.ts); '' is the outermost. */
  namesIn(prefix: string): string[] {
    return [...this.#names.keys()].filter((name) => isIn(prefix, name));
  }

  /** The bytes of a file as a reader sees them; changing them changes the file, on disk too. */
  image(name: string): Uint8Array {
    const inode = this.#names.get(name);
    assert.ok(inode !== undefined, `there is no ${name}`);
    return inode.lend();
  }

  /** The bytes of a file that a power cut would leave at worst; undefined: not even its name. */
  durable(name: string): Uint8Array | undefined {
    return this.#durable.get(name)?.disk;
  }

  /** Flips bits of one byte of a file behind everybody's back, in cache and on disk. */
  flip(name: string, at: number, bits: number): void {
    const inode = this.#names.get(name);
    assert.ok(inode !== undefined, `there is no ${name}`);
    inode.flip(at, bits);
  }

  /** Makes or replaces a file, durably. */
  put(name: string, bytes: Uint8Array): void {
    this.#put(name, bytes.slice());
  }

  #put(name: string, bytes: Uint8Array): void {
    const inode = Inode.of(bytes);
    this.#names.set(name, inode);
    this.#durable.set(name, inode);
  }

  /** Renames or removes a file behind everybody's back, durably. */
  take(name: string, to?: string): void {
    const inode = this.#names.get(name);
    assert.ok(inode !== undefined, `there is no ${name}`);
    for (const map of [this.#names, this.#durable]) {
      map.delete(name);
      if (to !== undefined) map.set(to, inode);
    }
  }

  /** A copy of everything, all of it durable. */
  clone(): MemoryFiles {
    const copy = new MemoryFiles();
    for (const [name, inode] of this.#names) copy.put(name, inode.cache);
    copy.capacity = this.capacity;
    return copy;
  }

  /** A copy with everything that is in doubt; nothing is open in it and nothing pending. */
  fork(): MemoryFiles {
    const copies = new Map<Inode, Inode>();
    const copyOf = (inode: Inode) => {
      const known = copies.get(inode) ?? inode.copy();
      copies.set(inode, known);
      return known;
    };
    const fork = new MemoryFiles();
    fork.capacity = this.capacity;
    for (const [name, inode] of this.#names) fork.#names.set(name, copyOf(inode));
    for (const [name, inode] of this.#durable) fork.#durable.set(name, copyOf(inode));
    fork.#changes = this.#changes.map((change) => ({ ...change, inode: copyOf(change.inode) }));
    return fork;
  }

  /**
   * Equal if and only if two disks are, so that crashes can leave the same of them. `isMeant`: of
   * the files that are looked at.
   */
  fingerprint(isMeant: (name: string) => boolean = () => true): string {
    const lines: string[] = [];
    for (const names of [this.#names, this.#durable]) {
      for (const [name, inode] of names)
        if (isMeant(name)) lines.push(`${name} ${inode.fingerprint()}`);
      lines.push('');
    }
    for (const { change, name, to, inode } of this.#changes)
      if (isMeant(name)) lines.push(`${change} ${name} ${to} ${inode.fingerprint()}`);
    return createHash('sha1').update(lines.join('\n')).digest('base64');
  }

  /** How many things a crash would ask about now. */
  get doubts(): number {
    let count = 0;
    this.fork().crash(() => {
      count++;
      return 'lose';
    });
    return count;
  }

  /** Lets one pending call happen, the oldest unless told otherwise. */
  step(index = 0): boolean {
    const [call] = this.pending.splice(index, 1);
    call?.run();
    return call !== undefined;
  }

  /** Lets calls happen, in an order that `random` picks, until none is pending. */
  async settle(random?: Random): Promise<void> {
    for (;;) {
      // Two turns: one for promises, one for what they call.
      await new Promise((resolve) => setImmediate(resolve));
      if (this.pending.length === 0) return;
      this.step(random?.below(this.pending.length) ?? 0);
    }
  }

  /**
   * The machine loses power: `fate` decides about each thing that no sync made durable. Returns the
   * disk as the next start finds it; this one is dead and calls nobody back any more.
   */
  crash(fate: (doubt: Doubt) => Fate, tears = new Random(1)): MemoryFiles {
    this.#dead = true;
    this.pending.length = 0;
    for (const [name, inode] of new Map([...this.#durable, ...this.#names])) {
      if (inode.cutTo < Number.POSITIVE_INFINITY)
        if (fate({ kind: 'entry', change: 'cut', name }) !== 'lose') inode.cut();
      for (const page of [...inode.dirty, ...inode.lies].sort((a, b) => a - b)) {
        const decided = fate({ kind: 'page', name, page });
        if (decided === 'keep') inode.settle(page, inode.page(page));
        if (decided === 'tear') tearPage(inode, page, tears);
      }
      inode.dirty.clear();
      inode.lies.clear();
    }
    for (const each of this.#changes) {
      const { change, to } = each;
      if (fate({ kind: 'entry', change, name: to }) !== 'lose') this.#apply(each);
    }
    const after = new MemoryFiles();
    for (const [name, inode] of this.#durable) after.#put(name, inode.shareDisk());
    after.capacity = this.capacity;
    return after;
  }

  /** The process dies, the system lives: calls that wait never happen, the cache stays. */
  kill(): MemoryFiles {
    this.#dead = true;
    this.pending.length = 0;
    const after = new MemoryFiles();
    after.#names = this.#names;
    after.#durable = this.#durable;
    after.#changes = this.#changes;
    after.capacity = this.capacity;
    return after;
  }

  // --- the port -------------------------------------------------------------------------------

  list(done: (failure: Error | undefined, names: string[]) => void): void {
    this.listIn('', done);
  }

  /** `list` of one folder, names in full. */
  listIn(prefix: string, done: (failure: Error | undefined, names: string[]) => void): void {
    this.#call('list', prefix, (fault) => done(fault, fault ? [] : this.namesIn(prefix)));
  }

  follow(
    name: string,
    handle: Handle,
    done: (failure: Error | undefined, leads: Leads) => void,
  ): void {
    const { inode } = this.#opened(handle);
    this.#call('follow', name, (fault) => {
      const found = this.#names.get(name);
      if (found === undefined) done(fault, 'nowhere');
      else done(fault, found === inode ? 'to it' : 'elsewhere');
    });
  }

  followDirectory(
    done: (failure: Error | undefined, leads: Leads, names: string[] | undefined) => void,
  ): void {
    this.followFolder('', done);
  }

  /** Where the names of folders lead to, if not to them. */
  readonly misled = new Map<string, Leads>();

  followFolder(
    prefix: string,
    done: (failure: Error | undefined, leads: Leads, names: string[] | undefined) => void,
  ): void {
    this.#call('follow', prefix, (fault) =>
      done(fault, this.misled.get(prefix) ?? 'to it', this.namesIn(prefix)),
    );
  }

  open(
    name: string,
    create: boolean,
    done: (failure: Error | undefined, handle: Handle, bytes: number) => void,
  ): void {
    this.#call('open', name, (fault) => {
      if (fault !== undefined) return done(fault, -1, 0);
      let inode = this.#names.get(name);
      if (create && inode !== undefined) return done(failure('EEXIST', 'open'), -1, 0);
      if (!create && inode === undefined) return done(failure('ENOENT', 'open'), -1, 0);
      if (inode === undefined) {
        inode = new Inode();
        this.#names.set(name, inode);
        this.#changes.push({ change: 'create', name, to: name, inode });
      }
      const handle = ++this.#lastHandle;
      this.#handles.set(handle, { inode, name });
      done(undefined, handle, inode.cache.length);
    });
  }

  read(
    handle: Handle,
    into: Uint8Array,
    at: number,
    done: (failure: Error | undefined, bytes: number) => void,
  ): void {
    const { inode, name } = this.#opened(handle);
    this.#call('read', name, (fault, short) => {
      if (fault !== undefined) return done(fault, 0);
      assert.ok(this.#handles.has(handle), `${name} was closed while it was read`);
      const bytes = inode.cache.subarray(at, at + Math.min(into.length, short));
      into.set(bytes);
      done(undefined, bytes.length);
    });
  }

  write(
    handle: Handle,
    parts: readonly Uint8Array[],
    at: number,
    done: (failure: Error | undefined, bytes: number) => void,
  ): void {
    const { inode, name } = this.#opened(handle);
    const given = Buffer.concat(parts);
    this.#call('write', name, (fault, short) => {
      assert.ok(this.#handles.has(handle), `${name} was closed while it was written`);
      assert.ok(
        Buffer.compare(given, Buffer.concat(parts)) === 0,
        `bytes for ${name} changed under the write`,
      );
      const growth = Math.max(0, at + given.length - inode.cache.length);
      const room = Math.max(0, this.capacity - this.usedBytes);
      const most = Math.max(0, growth <= room ? given.length : given.length - (growth - room));
      const moved = Math.min(
        given.length,
        short,
        fault !== undefined && !this.#partly(short) ? 0 : most,
      );
      if (moved > 0) inode.write(given.subarray(0, moved), at);
      if (fault !== undefined) return done(fault, 0);
      if (moved === 0 && given.length > 0 && most === 0) return done(failure('ENOSPC', 'write'), 0);
      done(undefined, moved);
    });
  }

  // A write that fails may have moved some bytes first, if the fault says how many.
  #partly(short: number): boolean {
    return short !== Number.POSITIVE_INFINITY;
  }

  truncate(handle: Handle, bytes: number, done: Done): void {
    const { inode, name } = this.#opened(handle);
    this.#call('truncate', name, (fault) => {
      assert.ok(bytes <= inode.cache.length, `${name} was made larger by a truncate`);
      if (fault === undefined) inode.truncate(bytes);
      done(fault);
    });
  }

  sync(handle: Handle, done: Done): void {
    const { inode, name } = this.#opened(handle);
    const covered = [...inode.dirty].map((page) => ({
      page,
      bytes: inode.page(page),
      version: inode.version(page),
    }));
    this.#call('sync', name, (fault) => {
      assert.ok(this.#handles.has(handle), `${name} was closed while it was synced`);
      if (fault === undefined) inode.cut();
      for (const { page, bytes, version } of covered) {
        if (fault === undefined) {
          if (!inode.synced(page, bytes, version)) continue;
          inode.dirty.delete(page);
          inode.lies.delete(page);
        } else if (inode.version(page) === version && inode.dirty.delete(page)) {
          inode.lies.add(page);
        }
      }
      done(fault);
    });
  }

  syncDirectory(done: Done): void {
    this.syncFolder('', done);
  }

  /** `syncDirectory` of one folder. */
  syncFolder(prefix: string, done: Done): void {
    const covered = this.#changes.filter(({ to }) => isIn(prefix, to));
    this.#call('syncDirectory', prefix, (fault) => {
      if (fault === undefined) {
        // Another sync may have come first with some of them.
        for (const change of this.#changes) if (covered.includes(change)) this.#apply(change);
        this.#changes = this.#changes.filter((change) => !covered.includes(change));
      }
      done(fault);
    });
  }

  #apply({ change, name, to, inode }: Change): void {
    if (change !== 'create' && this.#durable.get(name) === inode) this.#durable.delete(name);
    if (change !== 'remove') this.#durable.set(to, inode);
  }

  rename(from: string, to: string, done: Done): void {
    this.#call('rename', from, (fault) => {
      const inode = this.#names.get(from);
      if (fault !== undefined || inode === undefined)
        return done(fault ?? failure('ENOENT', 'rename'));
      this.#names.delete(from);
      this.#names.set(to, inode);
      for (const opened of this.#handles.values()) if (opened.inode === inode) opened.name = to;
      this.#changes.push({ change: 'rename', name: from, to, inode });
      done(undefined);
    });
  }

  remove(name: string, done: Done): void {
    this.#call('remove', name, (fault) => {
      const inode = this.#names.get(name);
      if (fault !== undefined || inode === undefined)
        return done(fault ?? failure('ENOENT', 'unlink'));
      this.#names.delete(name);
      this.#changes.push({ change: 'remove', name, to: name, inode });
      done(undefined);
    });
  }

  close(handle: Handle, done: Done): void {
    const { name } = this.#opened(handle);
    this.#call('close', name, (fault) => {
      this.#handles.delete(handle);
      done(fault);
    });
  }

  free(done: (failure: Error | undefined, bytes: number) => void): void {
    this.#call('free', '', (fault) => done(fault, Math.max(0, this.capacity - this.usedBytes)));
  }

  /** Bytes that all files together have, those without a name that are open included. */
  get usedBytes(): number {
    const inodes = new Set([...this.#names.values()]);
    for (const { inode } of this.#handles.values()) inodes.add(inode);
    let bytes = 0;
    for (const inode of inodes) bytes += inode.cache.length;
    return bytes;
  }

  #opened(handle: Handle): { inode: Inode; name: string } {
    const opened = this.#handles.get(handle);
    assert.ok(opened !== undefined, `handle ${handle} is not open`);
    return opened;
  }

  #call(op: Op, name: string, effect: (fault: Error | undefined, short: number) => void): void {
    if (this.#dead) return;
    this.#counts.set(op, this.count(op) + 1);
    let fault: Error | undefined;
    let short = Number.POSITIVE_INFINITY;
    for (const armed of this.#faults) {
      if (armed.op !== op || (armed.name !== undefined && !armed.name.test(name))) continue;
      if (--armed.nth >= 1 || armed.fired >= (armed.times ?? 1)) continue;
      armed.fired++;
      short = armed.short ?? short;
      if (armed.code !== undefined) fault = failure(armed.code, op);
    }
    this.pending.push({ op, name, run: () => effect(fault, short) });
    if (this.#auto) this.#stepSoon();
  }
}

function isIn(prefix: string, name: string): boolean {
  return name.startsWith(prefix) && !name.slice(prefix.length).includes('/');
}

function tearPage(inode: Inode, page: number, random: Random): void {
  const bytes = inode.page(page);
  for (let at = 0; at < bytes.length; at += SECTOR_BYTES)
    if (random.chance(0.5))
      inode.settle(page, bytes, at, Math.min(at + SECTOR_BYTES, bytes.length));
}

/** A seeded crash: each thing in doubt is kept, lost or torn. */
export function anyFate(random: Random): (doubt: Doubt) => Fate {
  return () => (['keep', 'lose', 'tear'] as const)[random.below(3)]!;
}

/** The worst honest crash: nothing survives but what was synced. */
export const loseAll = (): Fate => 'lose';
