// The division of the memory budget: what fits is divided without a rest beyond it, what does not
// is refused with the least that would.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type MemoryWishes,
  memoryComplaint,
  memoryText,
  planMemory,
} from '../../src/config/memory.ts';
import { formatSize } from '../../src/core/text/units.ts';

const MIB = 1024 * 1024;
const PLAIN: MemoryWishes = {
  budgetBytes: undefined,
  messageBytesMax: MIB,
  segmentBytesMin: 7 * MIB,
  segmentBytes: undefined,
  connectionsMax: undefined,
  bufferBytesMax: undefined,
};

function plan(wishes: Partial<MemoryWishes>) {
  const made = planMemory({ ...PLAIN, ...wishes });
  assert.ok(typeof made !== 'string', String(made));
  return made;
}

function refusal(wishes: Partial<MemoryWishes>): string {
  const text = planMemory({ ...PLAIN, ...wishes });
  assert.ok(typeof text === 'string', 'it was accepted');
  return text;
}

const leastIn = (text: string) => Number(/at least ([\d.]+) MiB/.exec(text)?.[1]) * MIB;
const sum = (shares: Record<string, number>) =>
  Object.values(shares).reduce((all, bytes) => all + bytes, 0);

test('a node of a cluster has a share for what is on its way through the stream', () => {
  const alone = plan({ budgetBytes: 512 * MIB }).memory.shares;
  const node = plan({ budgetBytes: 512 * MIB, cluster: true }).memory.shares;
  assert.deepEqual([alone.cluster, node.cluster], [undefined, 24 * MIB]);
  assert.ok(sum(node) <= 512 * MIB);
  assert.ok(node.buffers! < alone.buffers!, 'the others make room for it');
});

test('the shares never add up to more than the budget, whatever it is', () => {
  for (let mib = 180; mib < 20_000; mib = Math.ceil(mib * 1.07)) {
    const { memory, limits } = plan({ budgetBytes: mib * MIB });
    assert.equal(memory.budgetBytes, mib * MIB);
    assert.ok(sum(memory.shares) <= mib * MIB, `${mib} MiB: ${JSON.stringify(memory.shares)}`);
    const { segment, buffers, connections, cold, marks, buckets } = memory.shares;
    assert.equal(marks, limits.marksMax * 32);
    assert.equal(segment, limits.segmentBytes);
    assert.equal(buffers, limits.bufferBytesMax);
    assert.equal(cold, memory.coldBytesMax);
    assert.equal(memory.shares.dedup, memory.idBytesMax);
    assert.ok(connections! >= limits.connectionsMax * 4096);
    assert.ok(buckets! >= memory.bucketsMax * 77 + 3 * limits.segmentEntriesMax * 40);
  }
});

test('the least that is named is enough, and a MiB less is not', () => {
  for (const wishes of [{}, { bufferBytesMax: 100 * MIB }, { segmentBytes: 256 * MIB }]) {
    const least = leastIn(refusal({ ...wishes, budgetBytes: MIB }));
    assert.ok(least > 100 * MIB);
    plan({ ...wishes, budgetBytes: least });
    assert.equal(leastIn(refusal({ ...wishes, budgetBytes: least - MIB })), least);
  }
});

test('what is given explicitly is kept, and refused where the sum is too much', () => {
  const wishes = { segmentBytes: 32 * MIB, connectionsMax: 20_000, bufferBytesMax: 20 * MIB };
  assert.deepEqual({ ...plan(wishes).limits, ...wishes }, plan(wishes).limits);
  const text = refusal({ bufferBytesMax: 1024 * MIB });
  assert.match(text, /--memory 512 MiB is too little.*buffers 1 GiB.*--buffer/);
});

test('more memory is more of what grows', () => {
  const [small, large] = [plan({ budgetBytes: 256 * MIB }), plan({ budgetBytes: 2048 * MIB })];
  assert.ok(large.memory.bucketsMax > small.memory.bucketsMax);
  assert.ok(large.memory.coldBytesMax > small.memory.coldBytesMax);
  assert.ok(large.limits.segmentEntriesMax > small.limits.segmentEntriesMax);
  assert.ok(large.limits.connectionsMax > small.limits.connectionsMax);
  assert.equal(small.limits.segmentEntriesMax * 4, small.memory.bucketsMax + 1);
});

test('ids of messages get what others leave: 16 MiB by default, 10 million in a larger budget', () => {
  const [usual, large] = [plan({}), plan({ budgetBytes: 1024 * MIB })];
  assert.ok(usual.memory.idBytesMax >= 16 * MIB && usual.memory.bucketsMax === 2 ** 20 - 1);
  assert.ok(large.memory.idBytesMax > 200 * MIB);
  assert.ok(plan({ budgetBytes: 1536 * MIB }).memory.idBytesMax > 10_000_000 * 34);
});

test('larger messages bring a larger budget along, unless one is given', () => {
  const large = { messageBytesMax: 64 * MIB, segmentBytesMin: 133 * MIB };
  assert.ok(plan(large).memory.budgetBytes > 512 * MIB);
  assert.match(refusal({ ...large, budgetBytes: 512 * MIB }), /at least \d+ MiB/);
});

const limited = (mib: number) => ({ limit: { bytes: mib * MIB, name: '/limit' } });

test('a limit lowers the default, by what the dashboard and the system need beside it', () => {
  for (const [mib, budget, wishes] of [
    [4096, 512, {}],
    [640, 512, {}],
    [639, 511, {}],
    [400, 272, {}],
    [400, 368, { dashboard: false }],
  ] as [number, number, Partial<MemoryWishes>][]) {
    const { memory } = plan({ ...wishes, ...limited(mib) });
    assert.equal(memory.budgetBytes, budget * MIB, `${mib} MiB`);
    assert.equal(memory.isLowered ?? false, budget < 512);
    assert.equal(memoryComplaint(memory), undefined);
    assert.equal(memoryText(memory), `budget ${budget} MiB, of ${formatSize(mib * MIB)} allowed`);
  }
  assert.equal(plan({}).memory.limit, undefined);
  assert.equal(memoryText(plan({}).memory), 'budget 512 MiB, no limit');
});

test('with a limit below the least, the least is taken, and that is said', () => {
  const { memory } = plan(limited(128));
  const least = leastIn(refusal({ budgetBytes: MIB }));
  assert.equal(memory.budgetBytes, least);
  assert.ok(memory.isLowered);
  assert.match(
    memoryComplaint(memory)!,
    /may take 178 MiB .*needs 128 MiB beside it, but the limit is 128 MiB \(\/limit\).*to 306 MiB/,
  );
  const large = { messageBytesMax: 64 * MIB, segmentBytesMin: 133 * MIB };
  assert.ok(plan({ ...large, ...limited(128) }).memory.budgetBytes > least, 'what messages need');
});

test('a budget that is given stays, above the limit with a complaint', () => {
  const { memory } = plan({ budgetBytes: 512 * MIB, ...limited(512) });
  assert.equal(memory.budgetBytes, 512 * MIB);
  assert.equal(memory.isLowered, undefined);
  assert.equal(memoryText(memory), memoryComplaint(memory));
  assert.match(memoryText(memory), /Raise the limit to 640 MiB, or give less to --memory/);
  // What did not fit into the usual budget is not let in because there is a limit.
  assert.match(refusal({ bufferBytesMax: 1024 * MIB, ...limited(256) }), /512 MiB is too little/);
});
