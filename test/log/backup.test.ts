// Backups beside a broker at work, at every point of its story: a start on the copy finds what was
// acked before the cut and nothing that was not published; what a backup keeps goes when it is
// over, however it ends.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type Cut, copyPinned, Pinned } from '../../src/log/backup.ts';
import { open } from '../../src/log/files/promises.ts';
import { verifyLog } from '../../src/log/tools/verify.ts';
import { MemoryFiles } from '../support/memory-files.ts';
import { smallPlainCodec } from '../support/twins.ts';
import { Busy, FEW, FEW_BEFORE, MANY, nameOf, startOfStory } from './busy.ts';
import { World } from './harness.ts';

const plain = smallPlainCodec();
const PIECE = 8 * 1024;
let start: MemoryFiles;

before(async () => {
  start = await startOfStory();
});

/** Asks for a cut and lets the broker go on until there is one. */
async function cutOf(busy: Busy): Promise<Cut> {
  let cut: Cut | undefined;
  let failure: Error | undefined;
  busy.world.log.pin((why, made) => {
    failure = why;
    cut = made;
  });
  while (cut === undefined) {
    await busy.go(1);
    assert.equal(failure, undefined);
  }
  return cut;
}

/** Lets the broker go on until `work` is over. */
async function beside(busy: Busy, work: Promise<void>): Promise<void> {
  let over = false;
  const end = () => {
    over = true;
  };
  work.then(end, end);
  while (!over) await busy.go(1);
  await work;
}

function copy(busy: Busy, { pinned }: Cut, into: MemoryFiles): Promise<void> {
  const zeros = new Uint8Array(PIECE);
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  return beside(busy, copyPinned({ pinned, into, zeros, piece: () => PIECE, turn }));
}

/** A broker with a backup that began after so many calls of its own. */
async function backUp(calls: number, all: boolean) {
  const busy = await Busy.open(start.clone(), all);
  await busy.go(calls);
  const consumed = [...busy.consumed];
  await busy.go(40); // their acks are on disk by then
  const before = busy.published;
  const cut = await cutOf(busy);
  const sent = new Set(busy.sent);
  const consumedAtCut = new Set(busy.consumed);
  const into = new MemoryFiles();
  await copy(busy, cut, into);
  return { busy, into, before, consumed, consumedAtCut, sent };
}

/** Lets a broker come to rest, and sees that it holds nothing any more. */
async function end(busy: Busy): Promise<void> {
  await busy.go(400);
  const { broker, log } = busy.world;
  assert.ok(broker.compaction.count > 0 || log.startPosition > 0, 'nothing was given back');
  assert.equal(busy.world.failure, undefined);
  busy.files.auto = true;
  await busy.world.settle();
  await busy.world.close();
}

for (const all of [false, true])
  test(`a start on a backup finds what was acked${all ? ', of a log that is given back' : ''}`, async () => {
    for (let calls = 0; calls < 400; calls += 9) {
      const { busy, into, before: published, ...told } = await backUp(calls, all);
      const why = `after ${calls} calls`;
      const report = await verifyLog(into, plain, () => {});
      assert.deepEqual([report.verdict, report.missing], ['clean', []], why);
      await end(busy);
      const world = await World.open(into);
      assert.equal(world.recovered.cutBytes, 0, why);
      const few = await world.drain(FEW);
      const many = (await world.drain(MANY)).map(nameOf);
      const got = new Set([...few.map(nameOf), ...many].filter((name) => !name.startsWith('old')));
      for (const name of published)
        assert.ok(got.has(name) || told.consumedAtCut.has(name), `${name} is missing ${why}`);
      for (const name of got) assert.ok(told.sent.has(name), `${name} is invented ${why}`);
      for (const name of told.consumed) assert.ok(!got.has(name), `${name} came back ${why}`);
      if (!all) assert.ok(few.filter((body) => body.startsWith('old')).length === FEW_BEFORE, why);
      await world.close();
    }
  });

test('a copy that fails or is given up lets everything go, and the broker goes on', async () => {
  for (const op of ['list', 'open', 'write', 'sync', 'syncDirectory', 'turn'] as const)
    for (const nth of [1, 2, 9]) {
      const busy = await Busy.open(start.clone(), false);
      await busy.go(50);
      const { pinned } = await cutOf(busy);
      const into = new MemoryFiles();
      const fault = op === 'turn' ? undefined : into.fail({ op, nth, code: 'ENOSPC' });
      let turns = 0;
      const copied = copyPinned({
        pinned,
        into,
        zeros: new Uint8Array(PIECE),
        piece: () => PIECE,
        turn: async () => {
          if (op === 'turn' && ++turns === nth) throw new Error('given up');
        },
      });
      const failure = await beside(busy, copied).then(
        () => '',
        (error: NodeJS.ErrnoException) => error.code ?? error.message,
      );
      const fails = op === 'turn' ? 'given up' : 'ENOSPC';
      assert.equal(failure, fault?.fired === 0 ? '' : fails, `${op} ${nth}`);
      assert.equal(into.openHandles, 0);
      await end(busy);
    }
});

test('a file is let go only when the read of it that is under way has ended, and once', async () => {
  const files = start.clone();
  const { handle, bytes } = await open(files, files.names()[0]!);
  let released = 0;
  const pinned = new Pinned(files, { base: 0, bytes, handle }, bytes, () => void released++);
  files.auto = false;
  const reading = pinned.read(new Uint8Array(4096), 0);
  pinned.release();
  pinned.release();
  assert.equal(released, 0);
  files.step();
  await reading;
  assert.equal(released, 1);
  await assert.rejects(pinned.read(new Uint8Array(4096), 0), /not held any more/);
  assert.equal(released, 1);
});
