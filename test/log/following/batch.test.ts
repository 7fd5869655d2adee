// What is not the next batch of a log is refused, and changes nothing: bent, cut short, out of
// order, of another life, or none at all.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEGMENT_DATA_AT } from '../../../assembly/layout.ts';
import { closesSegment } from '../../../src/log/following/batch.ts';
import { sharedEngine } from '../../support/engine.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import { buildSegment, LOG_ID } from '../harness.ts';
import { Copy, record } from './harness.ts';

const seed = seedOf('log/following/batch.test');
const codec = sharedEngine('a log that is opened begins with the key and the open segment');
const batches = await record(new Random(seed), 2, 60);

test('what is not the next batch is refused, and the next one is taken after that', async () => {
  const random = new Random(seed + 4);
  const copy = await Copy.open(new MemoryFiles(), codec);
  for (let i = 0; i < batches.length - 1; i++) {
    const batch = batches[i]!;
    const before = JSON.stringify(copy.tell());
    for (const [name, bent] of bend(i, random)) {
      const failure = await copy.apply(bent);
      assert.equal((failure as { code?: string })?.code, 'damaged', `batch ${i}: ${name}`);
      assert.equal(JSON.stringify(copy.tell()), before, `batch ${i}: ${name}`);
      assert.equal(copy.follower.end, batch.position);
    }
    assert.equal(await copy.apply(batch), undefined);
  }
  await copy.follower.close();
});

function bend(i: number, random: Random): [string, (typeof batches)[number]][] {
  const batch = batches[i]!;
  const { bytes, position, epoch } = batch;
  const flipped = bytes.slice();
  // Not in the zeros behind a body, which no checksum covers.
  flipped[random.below(56)]! ^= 1 << random.below(8);
  const next = batches[i + 1]!;
  const joined = Buffer.concat([bytes, next.bytes]);
  return [
    ['a bit', { ...batch, bytes: flipped }],
    ['cut short', { ...batch, bytes: bytes.subarray(0, bytes.length - 56) }],
    ['more behind it', { ...batch, bytes: Buffer.concat([bytes, new Uint8Array(56)]) }],
    ...(next.position === position + bytes.length
      ? ([['two in one', { ...batch, bytes: joined }]] as [string, typeof batch][])
      : []),
    ['the one behind it', next],
    ['again', i > 0 ? batches[i - 1]! : next],
    ['an older life', { ...batch, epoch: epoch - 1 }],
    ['a later life', { ...batch, epoch: epoch + 1 }],
    ['elsewhere', { ...batch, position: position + 8 }],
    ['nothing', { ...batch, bytes: new Uint8Array(0) }],
  ];
}

test('a batch of another log, or one that leaves sequences out, is refused', async () => {
  const copy = await Copy.open(new MemoryFiles(), codec);
  const of = (sequence: number, offset = 4096, logId = LOG_ID) => {
    const messages = [{ bucket: 1, body: 'm' }];
    const built = buildSegment({ sequence, offset, logId }, [{ messages }]);
    const bytes = built.image.slice(offset, built.offsets.at(-1));
    return { position: offset, bytes, epoch: 1 };
  };
  const foreign = await copy.apply(of(1, 4096, LOG_ID + 1n));
  assert.match(foreign!.message, /does not continue it/);
  // Where nothing was there, it may begin anywhere: what was before is not needed.
  assert.equal(await copy.apply(of(7)), undefined);
  const { end } = copy.follower;
  for (const sequence of [7, 9]) {
    const failure = await copy.apply(of(sequence, end));
    assert.match(failure!.message, new RegExp(`sequence ${sequence} stands where 8 is next`));
  }
  assert.equal(await copy.apply(of(8, end)), undefined);
  assert.equal(copy.follower.sequence, 9);
  await copy.follower.close();
});

test('which batch closes its segment is told by its own bytes', async () => {
  const recorded = await record(new Random(seed + 7), 2, 120);
  const closing = recorded.filter(
    ({ base }, i) => recorded[i + 1] !== undefined && recorded[i + 1]!.base > base,
  );
  assert.ok(closing.length > 0);
  for (const batch of recorded.slice(0, -1))
    assert.equal(closesSegment(batch.bytes), closing.includes(batch), `at ${batch.position}`);
  assert.equal(recorded[0]!.position, SEGMENT_DATA_AT);
});
