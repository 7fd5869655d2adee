// Whether what is written can be found again: what is noticed and named, what is no loss, and that
// no ack relies on an old look.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Leads } from '../../../src/log/files/files.ts';
import { encodeHeader, segmentName } from '../../../src/log/segments/segment.ts';
import { type Segment, Segments } from '../../../src/log/segments/segments.ts';
import { type Place, TRUST_MS, Watch } from '../../../src/log/segments/watch.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { paceOf } from '../../support/pace.ts';
import { LOG_ID, SEGMENT_BYTES, TIME_MS } from '../harness.ts';

const nameOf = (n: number) => segmentName(n * SEGMENT_BYTES);

class Setup {
  readonly files = new MemoryFiles();
  readonly places: Place[] = [];
  readonly lost: string[] = [];
  segments!: Segments;
  watch!: Watch;
  nowMs = 0;
  renaming = false;

  async begin(count: number): Promise<this> {
    const { files } = this;
    const list: Segment[] = [];
    for (let n = 0; n < count; n++) list.push(await this.segment(n));
    this.segments = new Segments(
      {
        files,
        zeros: new Uint8Array(4096),
        pace: paceOf(setImmediate),
        segmentBytes: SEGMENT_BYTES,
        spareBytes: 0,
        logId: LOG_ID,
        epoch: () => 4,
        now: () => this.nowMs,
        wallMs: () => TIME_MS,
        changed: () => {},
        trouble: () => {},
      },
      list,
      undefined,
    );
    this.segments.prepare();
    await files.settle();
    this.watch = new Watch({
      files,
      places: this.places,
      segments: this.segments,
      renaming: () => this.renaming,
      now: () => this.nowMs,
      lost: ({ code, message }) => this.lost.push(`${code}: ${message}`),
    });
    return this;
  }

  async segment(n: number): Promise<Segment> {
    const base = n * SEGMENT_BYTES;
    const image = new Uint8Array(SEGMENT_BYTES);
    const head = { base, bytes: SEGMENT_BYTES, start: 0, logId: LOG_ID, timeMs: TIME_MS, epoch: 1 };
    image.set(encodeHeader(head));
    this.files.put(nameOf(n), image);
    const handle = await new Promise<number>((resolve) =>
      this.files.open(nameOf(n), false, (_failure, opened) => resolve(opened)),
    );
    const end = base + SEGMENT_BYTES;
    return { base, bytes: SEGMENT_BYTES, end, handle, identity: n, reads: 0, retired: false };
  }

  /** Another file takes the name of one. */
  replace(n: number): void {
    this.files.put(nameOf(n), new Uint8Array(SEGMENT_BYTES));
  }

  /** A whole look, and what is lost by then. */
  async look(): Promise<string[]> {
    this.watch.look();
    await this.files.settle();
    return this.lost;
  }

  /** Whether an ack may leave: 'yes', 'not yet' or why not. */
  async ack(): Promise<string> {
    let said = 'not yet';
    this.watch.confirm((failure) => {
      said = failure?.message ?? 'yes';
    });
    return said;
  }
}

/** A place that leads where it is told. */
function placeOf(name: string, leads: () => Leads): Place {
  return { name, follow: (done) => queueMicrotask(() => done(undefined, leads())) };
}

test('nothing is asked before the first look, and all is well where all is in place', async () => {
  const setup = await new Setup().begin(3);
  setup.nowMs = 1e9;
  assert.equal(await setup.ack(), 'yes');
  for (let i = 0; i < 10; i++) assert.deepEqual(await setup.look(), []);
  assert.equal(await setup.ack(), 'yes');
});

for (const leads of ['nowhere', 'elsewhere'] as const)
  test(`a folder whose name leads ${leads} is named, outermost first, and nothing is acked`, async () => {
    const setup = new Setup();
    let broken = false;
    setup.places.push(placeOf('the data folder /d', () => (broken ? leads : 'to it')));
    await setup.begin(1);
    assert.deepEqual(await setup.look(), []);
    broken = true;
    setup.files.misled.set('', leads);
    const what = leads === 'nowhere' ? /is not there any more/ : /is another one now/;
    const [said] = await setup.look();
    assert.match(said!, /^lost: the data folder \/d /);
    assert.match(said!, what);
    assert.match(await setup.ack(), what);
    broken = false;
    await setup.look();
    assert.equal(setup.lost.length, 1, 'it is said once, and nothing makes it good');
    assert.match(await setup.ack(), what);

    const inner = await new Setup().begin(1);
    inner.files.misled.set('', leads);
    assert.match((await inner.look())[0]!, /^lost: the folder of the log /);
  });

test('the open, the next and each complete segment is missed in the first look after it goes', async () => {
  for (const gone of [0, 57, 119, 120, 121]) {
    const setup = await new Setup().begin(121);
    assert.deepEqual(await setup.look(), []);
    setup.files.take(nameOf(gone));
    const [said] = await setup.look();
    assert.equal(
      said,
      `lost: the file ${nameOf(gone)} of the log is not there any more: it was deleted or moved away`,
    );
  }
});

test('a replaced segment is noticed: the open and the next one at once, others in turns', async () => {
  for (const [replaced, looks] of [
    [120, 1],
    [121, 1],
    [5, 2],
    [119, 2],
  ] as const) {
    const setup = await new Setup().begin(121);
    setup.replace(replaced);
    for (let i = 0; i < looks && setup.lost.length === 0; i++) await setup.look();
    assert.match(setup.lost[0] ?? '', new RegExp(`${nameOf(replaced)} of the log is another one`));
  }
});

test('a look costs a few calls, however long the log is', async () => {
  const setup = await new Setup().begin(121);
  const calls = async () => {
    const before = setup.files.count('follow');
    await setup.look();
    return setup.files.count('follow') - before;
  };
  const { followFolder } = setup.files;
  setup.files.followFolder = (prefix, done) => {
    // As on a disk, where the folder says that nothing changed.
    followFolder.call(setup.files, prefix, (failure, leads) => done(failure, leads, undefined));
  };
  assert.ok((await calls()) <= 8);
  setup.files.followFolder = followFolder;
  assert.ok((await calls()) <= 70);
});

test('where a name takes long to follow a look is short all the same, and none is left out', async () => {
  const setup = await new Setup().begin(121);
  const { follow } = setup.files;
  const followed = new Set<string>();
  setup.files.follow = (name, handle, done) => {
    followed.add(name);
    setup.nowMs += 20;
    follow.call(setup.files, name, handle, done);
  };
  for (let looks = 0; looks < 20; looks++) {
    const begunMs = setup.nowMs;
    assert.deepEqual(await setup.look(), []);
    assert.ok(setup.nowMs - begunMs < TRUST_MS / 2, `a look took ${setup.nowMs - begunMs} ms`);
  }
  assert.equal(followed.size, 122);
  // One at a time, if that takes as long as a look should.
  followed.clear();
  setup.files.follow = (name, handle, done) => {
    followed.add(name);
    setup.nowMs += TRUST_MS;
    follow.call(setup.files, name, handle, done);
  };
  for (let looks = 0; looks < 122; looks++) await setup.look();
  assert.equal(followed.size, 122);
  assert.equal(await setup.ack(), 'not yet');
});

test('what the broker does with names itself is no loss', async () => {
  const setup = await new Setup().begin(4);
  const { segments, files } = setup;
  files.auto = false;
  // Given back while a look is under way.
  setup.watch.look();
  segments.trim(2 * SEGMENT_BYTES);
  await files.settle();
  assert.deepEqual(setup.lost, []);
  // A compacted segment has the name of an old one before it is in the list.
  const old = segments.list[0]!;
  setup.renaming = true;
  setup.replace(2);
  assert.deepEqual(await setup.look(), []);
  const handle = await new Promise<number>((resolve) => {
    files.open(nameOf(2), false, (_failure, opened) => resolve(opened));
    void files.settle();
  });
  segments.replace({ ...old, handle, identity: 99 });
  setup.renaming = false;
  for (let i = 0; i < 4; i++) assert.deepEqual(await setup.look(), []);
  // The next one becomes the open one.
  setup.watch.look();
  segments.roll();
  await files.settle();
  for (let i = 0; i < 4; i++) assert.deepEqual(await setup.look(), []);
});

test('a segment that is compacted while its name is followed is no loss', async () => {
  for (const listed of [true, false]) {
    const setup = await new Setup().begin(4);
    const { files, segments } = setup;
    files.auto = false;
    setup.watch.look();
    const isFollowed = () => files.pending.some(({ name }) => name === nameOf(2));
    while (!isFollowed()) {
      files.step();
      await new Promise((resolve) => setImmediate(resolve));
    }
    setup.replace(2);
    // The new name is there, and the new segment is in the list already, or is not yet.
    setup.renaming = listed;
    if (!listed) segments.replace({ ...segments.list[2]!, identity: 99 });
    await files.settle();
    assert.deepEqual(setup.lost, []);
  }
});

test('a data folder that is renamed in the middle of a look is no loss', async () => {
  const setup = new Setup();
  let asked = 0;
  // Its new path is known only when it is asked for again.
  setup.places.push({
    name: 'the data folder /d',
    follow: (done) => {
      if (++asked === 1) setup.files.misled.set('', 'nowhere');
      else setup.files.misled.clear();
      queueMicrotask(() => done(undefined, 'to it'));
    },
  });
  await setup.begin(1);
  assert.deepEqual(await setup.look(), []);
  assert.equal(asked, 2);
});

test('what cannot be found out is no verdict', async () => {
  const setup = await new Setup().begin(2);
  setup.files.take(nameOf(0));
  const fault = setup.files.fail({ op: 'follow', nth: 1, times: 1000, code: 'EIO' });
  for (let i = 0; i < 5; i++) assert.deepEqual(await setup.look(), []);
  assert.ok(fault.fired > 0);
  assert.equal(await setup.ack(), 'yes');
});

test('no ack relies on a look that is older than it may be', async () => {
  const setup = await new Setup().begin(1);
  const { files, watch } = setup;
  await setup.look();
  setup.nowMs += TRUST_MS;
  assert.equal(await setup.ack(), 'yes');
  files.auto = false;
  setup.nowMs += 1;
  const acks: string[] = [];
  watch.confirm((failure) => acks.push(failure?.message ?? 'yes'));
  assert.equal(acks.length, 0);
  await files.settle();
  assert.deepEqual(acks, ['yes'], 'a new look lets it go');

  // A look that hangs holds them, however long, and does not pile up.
  setup.nowMs += TRUST_MS + 1;
  for (let i = 0; i < 5; i++) watch.confirm((failure) => acks.push(failure?.message ?? 'yes'));
  for (let i = 0; i < 100; i++) watch.look();
  assert.equal(files.pending.length, 1);
  setup.nowMs += 10 * TRUST_MS;
  watch.confirm((failure) => acks.push(failure?.message ?? 'yes'));
  assert.deepEqual(acks, ['yes']);
  // What it finds was so before the last of them asked: that one waits for another look.
  files.take(nameOf(0));
  await files.settle();
  assert.deepEqual(new Set(acks.slice(1)), new Set([setup.lost[0]!.replace('lost: ', '')]));
  assert.equal(acks.length, 7);
});

test('a first look that hangs holds acks back, too', async () => {
  const setup = await new Setup().begin(1);
  setup.files.auto = false;
  setup.nowMs = 1e6;
  setup.watch.look();
  assert.equal(await setup.ack(), 'yes', 'the files were opened a moment ago');
  setup.nowMs += TRUST_MS + 1;
  assert.equal(await setup.ack(), 'not yet');
  await setup.files.settle();
  assert.equal(await setup.ack(), 'yes');
});

test('who asks gets a look that began later; at the end nobody is left waiting', async () => {
  const setup = await new Setup().begin(1);
  const { files, watch } = setup;
  files.auto = false;
  watch.look();
  setup.nowMs += 1;
  const said: string[] = [];
  watch.ask((failure) => said.push(failure === undefined ? 'well' : 'lost'));
  await files.settle();
  assert.deepEqual(said, ['well']);
  assert.equal(setup.lost.length, 0);
  files.take(nameOf(0));
  watch.ask((failure) => said.push(failure === undefined ? 'well' : 'lost'));
  await files.settle();
  assert.deepEqual(said, ['well', 'lost']);
  watch.ask((failure) => said.push(failure === undefined ? 'well' : 'still lost'));
  assert.deepEqual(said.splice(2), ['still lost']);

  const other = await new Setup().begin(1);
  other.files.auto = false;
  other.watch.ask((failure) => said.push(failure === undefined ? 'ended' : 'lost'));
  other.watch.end();
  assert.deepEqual(said, ['well', 'lost', 'ended']);
  other.files.take(nameOf(0));
  await other.files.settle();
  assert.deepEqual(other.lost, []);
});
