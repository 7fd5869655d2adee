// Backups into real folders of a log that a test makes: which folders are refused, what is left of
// a backup that fails, stands still or is cancelled, and that it keeps nothing of the log then.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { Outcome } from '../../src/contract/commands.ts';
import { Backups, type BackupsOptions } from '../../src/io/backups.ts';
import { type Cut, Pinned } from '../../src/log/backup.ts';
import { open } from '../../src/log/files/promises.ts';
import { segmentName } from '../../src/log/segments/segment.ts';
import { temporaryFolder } from '../support/broker.ts';
import { MemoryFiles } from '../support/memory-files.ts';

const BYTES = 64 * 1024;
const PAUSED = '{"version":1,"paused":[]}\n';

class Desk {
  readonly dataDir = temporaryFolder();
  readonly root = temporaryFolder();
  readonly notices: string[] = [];
  readonly backups: Backups;
  released = 0;
  full: string | undefined;
  stallMs = 60_000;
  /** The copy waits here for the test. */
  turn: () => Promise<void> = async () => {};
  readonly #files = new MemoryFiles();

  constructor(options: Partial<BackupsOptions> = {}) {
    const image = Buffer.alloc(BYTES, 'x');
    this.#files.put(segmentName(0), image);
    const stallMs = () => this.stallMs;
    this.backups = new Backups({
      get stallMs() {
        return stallMs();
      },
      log: {
        pin: (done) => void this.#cut().then((cut) => done(undefined, cut)),
        blocked: () => this.full,
      },
      dataDir: () => this.dataDir,
      zeros: new Uint8Array(4096),
      wallMs: () => 1_700_000_000_000,
      notice: (_level, kind, text) => void this.notices.push(`${kind}: ${text}`),
      ...options,
    });
  }

  async #cut(): Promise<Cut> {
    const { handle } = await open(this.#files, segmentName(0));
    const segment = { base: 0, bytes: BYTES, handle };
    const pinned = new Pinned(this.#files, segment, BYTES - 100, () => void this.released++);
    return { end: BYTES - 100, pinned: [pinned], piece: () => 4096, turn: () => this.turn() };
  }

  /** Pauses as an earlier version kept them. */
  earlierPauses(): void {
    fs.writeFileSync(path.join(this.dataDir, 'paused.json'), PAUSED);
  }

  begin(into: string): Promise<Outcome> {
    return new Promise((resolve) => this.backups.begin(into, resolve));
  }

  async over(): Promise<string> {
    while (this.backups.state!.state === 'running')
      await new Promise((resolve) => setTimeout(resolve, 1));
    return `${this.backups.state!.state}: ${this.backups.state!.detail}`;
  }

  /** Waits until the folder is as it was before. */
  async gone(into: string): Promise<void> {
    while (fs.existsSync(into)) await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

test('a backup: the bytes before the cut, zeros, pauses beside it, and nothing incomplete', async () => {
  const desk = new Desk();
  assert.equal(desk.backups.state, null);
  desk.earlierPauses();
  const into = path.join(desk.root, 'a', 'b');
  const begun = await desk.begin(into);
  assert.ok(begun.ok);
  assert.equal(await desk.over(), 'done: null');
  await desk.backups.close();
  assert.deepEqual(fs.readdirSync(into).sort(), ['log', 'paused.json']);
  const copy = fs.readFileSync(path.join(into, 'log', segmentName(0)));
  const wanted = Buffer.concat([Buffer.alloc(BYTES - 100, 'x'), Buffer.alloc(100)]);
  assert.ok(copy.equals(wanted));
  assert.equal(fs.readFileSync(path.join(into, 'paused.json'), 'utf8'), PAUSED);
  assert.equal(fs.statSync(into).mode & 0o777, 0o700);
  assert.deepEqual([desk.released, desk.backups.state!.bytes], [1, BYTES]);
  assert.match(desk.notices.join(), /^backup.done: /);
});

test('folders that cannot take one, or a log that cannot give one, are refused, untouched', async () => {
  const desk = new Desk();
  const full = path.join(desk.root, 'used');
  fs.mkdirSync(full);
  fs.writeFileSync(path.join(full, 'mine'), 'mine');
  const cut = path.join(desk.root, 'cut');
  fs.mkdirSync(path.join(cut, 'log.incomplete'), { recursive: true });
  const link = path.join(desk.root, 'link');
  fs.symlinkSync(desk.dataDir, link);
  const cases: [string, RegExp][] = [
    ['', /absolute path/],
    ['relative/path', /absolute path/],
    [desk.dataDir, /in the data folder/],
    [path.join(desk.dataDir, 'log', 'x'), /in the data folder/],
    [path.join(link, 'x'), /in the data folder/],
    [full, /not empty, it holds mine/],
    [cut, /cut off/],
  ];
  for (const [into, text] of cases) {
    const outcome = await desk.begin(into);
    assert.ok(!outcome.ok && outcome.code === 'bad-request', into);
    assert.match(outcome.detail, text);
  }
  const file = await desk.begin(path.join(full, 'mine', 'x'));
  assert.ok(!file.ok && file.code === 'failed');
  desk.full = 'no space left on the disk';
  const blocked = await desk.begin(path.join(desk.root, 'new'));
  assert.ok(!blocked.ok && /no space left/.test(blocked.detail));
  assert.ok(!fs.existsSync(path.join(desk.root, 'new')));
  assert.deepEqual(fs.readdirSync(full), ['mine']);
  assert.deepEqual(fs.readdirSync(desk.dataDir), []);
  assert.equal(desk.released, 0);
});

test('one that is cancelled or fails when it already has its name leaves nothing, either', async (t) => {
  for (const how of ['cancelled', 'failed', 'in use'] as const) {
    const desk = new Desk();
    const { rename } = fs.promises;
    const renamed = t.mock.method(fs.promises, 'rename', async (from: string, to: string) => {
      await rename(from, to);
      if (path.basename(to) !== 'log') return;
      if (how === 'in use') fs.writeFileSync(path.join(desk.root, 'copy', 'LOCK'), 'a broker');
      if (how !== 'failed') desk.backups.cancel();
      else
        t.mock.method(fs.promises, 'open', async () => {
          throw new Error('EIO: i/o error, fsync');
        });
    });
    desk.earlierPauses();
    const folder = path.join(desk.root, 'copy');
    assert.ok((await desk.begin(folder)).ok);
    assert.match(await desk.over(), how === 'failed' ? /^failed: / : /^cancelled: /);
    await desk.backups.close();
    const left = fs.existsSync(folder) ? fs.readdirSync(folder).sort() : [];
    assert.deepEqual(left, how === 'in use' ? ['LOCK', 'log', 'paused.json'] : [], how);
    t.mock.restoreAll();
    assert.equal(renamed.mock.callCount(), 1);
  }
});

test('backups leave no descriptor open, however they end', {
  skip: process.platform === 'linux' ? false : 'needs /proc',
}, async () => {
  const desk = new Desk();
  const openIn = (folder: string) =>
    fs.readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder);
      } catch {
        return false; // the one that lists them
      }
    }).length;
  const done = path.join(desk.root, 'done');
  assert.ok((await desk.begin(done)).ok);
  assert.equal(await desk.over(), 'done: null');
  await desk.backups.close();
  assert.equal(openIn(desk.root), 0);
  desk.turn = async () => {
    throw new Error('the disk is gone');
  };
  const failed = path.join(desk.root, 'failed');
  assert.ok((await desk.begin(failed)).ok);
  assert.equal(await desk.over(), 'failed: the disk is gone');
  await desk.backups.close();
  assert.equal(openIn(desk.root), 0);
});

test('a disk that is full in the middle: why, and nothing is left', async () => {
  const into = new MemoryFiles();
  into.capacity = 10_000;
  const desk = new Desk({ filesIn: () => into });
  const folder = path.join(desk.root, 'copy');
  assert.ok((await desk.begin(folder)).ok);
  assert.match(await desk.over(), /failed: .*ENOSPC/);
  await desk.gone(folder);
  assert.equal(desk.released, 1);
  assert.ok((await desk.begin(path.join(desk.root, 'other'))).ok, 'no other one may begin');
  await desk.backups.close();
});

test('one that stands still is given up, as is one while the disk of the log is full', async () => {
  for (const how of ['still', 'full', 'cancel', 'close'] as const) {
    const desk = new Desk({ watchMs: 5 });
    let go = () => {};
    desk.turn = () =>
      new Promise((resolve) => {
        go = resolve;
      });
    const folder = path.join(desk.root, 'copy');
    assert.ok((await desk.begin(folder)).ok);
    const second = await desk.begin(path.join(desk.root, 'second'));
    assert.ok(!second.ok && second.code === 'conflict');
    if (how === 'still') desk.stallMs = 0;
    if (how === 'full') desk.full = 'no space left on the disk';
    if (how === 'cancel') desk.backups.cancel();
    const closed = how === 'close' ? desk.backups.close() : undefined;
    const why = {
      still: /failed: nothing was written/,
      full: /failed: the disk of the log is full/,
      cancel: /cancelled: it was cancelled/,
      close: /cancelled: the broker was stopped/,
    };
    assert.match(await desk.over(), why[how]);
    assert.equal(desk.released, 1, 'it keeps the log although it is over');
    while (fs.existsSync(folder)) {
      go(); // what hung comes back
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await closed;
    await desk.backups.close();
  }
});
