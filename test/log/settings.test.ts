// Rules that were set while a broker ran, life after life on files in memory: what was answered is
// there after each crash, with its version, wherever its record stands, and nothing by half.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RECORD_HEADER_BYTES } from '../../assembly/layout.ts';
import type { Changed } from '../../src/core/rule-changes.ts';
import { ruleOfWords } from '../../src/core/rules/rule.ts';
import { verifyLog } from '../../src/log/tools/verify.ts';
import { anyFate, type Fate, loseAll, MemoryFiles } from '../support/memory-files.ts';
import { Random, seedOf } from '../support/random.ts';
import { codec, indexOf, World } from './harness.ts';

const seed = seedOf('log/settings.test');
// They match the same bucket: each has a key of its own.
const NAMES = ['a', 'b', 'c'];
const KEYS = ['batch', 'rate', 'max_in_flight'];
type Rules = Record<string, string>;

const open = (files: MemoryFiles): Promise<World> => World.open(files, { rules: [] });

/** Rules in force, each as its match and keys behind its version. */
function rulesOf({ broker }: World): Rules {
  const { set } = broker.rulesInForce!;
  return Object.fromEntries(
    NAMES.flatMap((name) => {
      const known = set.find(name);
      return known === undefined ? [] : [[name, `${known.version} ${known.rule.text}`]];
    }),
  );
}

function change(world: World, name: string, words: string | undefined): Changed[] {
  const answers: Changed[] = [];
  const rule = words === undefined ? undefined : ruleOfWords(name, '7', [words]);
  world.broker.rulesInForce!.changes.ask({ name, rule, expected: undefined }, (changed) =>
    answers.push(changed),
  );
  return answers;
}

async function set(world: World, name: string, words: string | undefined): Promise<number> {
  const answers = change(world, name, words);
  await world.settle();
  for (let i = 0; i < 20 && answers.length === 0; i++) await world.advance(50);
  const [answer] = answers;
  assert.ok(answer?.ok, JSON.stringify(answer));
  return answer.version;
}

/** Fills segments with messages of a bucket. */
async function fill(world: World, bucket: number, segments: number): Promise<void> {
  for (let i = 0; i < segments * 8; i++) {
    world.publish([{ bucket, body: `m${i}`.padEnd(4000, '.') }]);
    await world.settle();
  }
  await world.advance(2000);
}

async function compacted(world: World): Promise<void> {
  const { compaction } = world.broker;
  const { count } = compaction;
  for (let i = 0; i < 200 && compaction.count === count; i++) await world.advance(1000);
  assert.ok(compaction.count > count, world.notes.join());
}

describe('what stands in segments that a start does not read', () => {
  async function made(): Promise<{ files: MemoryFiles; rules: Rules }> {
    const world = await open(new MemoryFiles());
    await set(world, 'a', 'batch=1');
    await fill(world, 1, 2);
    await set(world, 'b', 'rate=2');
    await set(world, 'a', 'batch=3');
    await set(world, 'c', 'max_in_flight=5');
    await set(world, 'c', undefined);
    await fill(world, 1, 9);
    const rules = rulesOf(world);
    assert.deepEqual(Object.keys(rules), ['a', 'b']);
    return { files: world.files.kill(), rules };
  }

  test('is in force, read from where its index says', async () => {
    const { files, rules } = await made();
    const next = await open(files.clone());
    assert.ok(next.used.checkpoint && next.used.segments.length > 3);
    assert.deepEqual(rulesOf(next), rules);
    indexOf(files).clear();
    const whole = await open(files);
    assert.deepEqual(whole.used, { segments: [], checkpoint: false });
    assert.deepEqual(rulesOf(whole), rules);
  });

  test('keeps its segment, until that is compacted, and then stands there', async () => {
    const { files, rules } = await made();
    const world = await open(files);
    await world.drain(1);
    await compacted(world);
    assert.deepEqual(rulesOf(world), rules);
    await fill(world, 2, 9);
    await world.drain(2);
    await world.advance(10_000);
    assert.equal(world.broker.retention.live, 2);
    const after = await open(world.files.kill());
    assert.deepEqual(rulesOf(after), rules);
    await set(after, 'a', 'batch=4');
    await set(after, 'b', undefined);
    assert.equal(after.broker.retention.live, 1);
    await fill(after, 2, 2);
    await after.drain(2);
    await after.advance(10_000);
    const { files: last } = after;
    const kept = rulesOf(after);
    const end = await open(last.kill());
    assert.deepEqual(rulesOf(end), kept);
    assert.equal(end.broker.retention.live, 1);
  });

  test('and cannot be read: nothing is served', async () => {
    const { files } = await made();
    const text = 'name=b match=7 rate=2';
    for (const cached of [true, false]) {
      const copy = files.clone();
      if (!cached) indexOf(copy).clear();
      const name = copy.names().find((each) => Buffer.from(copy.image(each)).includes(text))!;
      const bytes = Buffer.from(copy.image(name));
      bytes[bytes.indexOf(text) + 3]! ^= 1;
      copy.put(name, bytes);
      await assert.rejects(open(copy), { name: 'LogError', code: 'damaged' });
    }
  });
});

test('a rule of another version of the program ends the start, and names its key', async () => {
  const world = await open(new MemoryFiles());
  await set(world, 'a', 'batch=1');
  const files = world.files.crash(loseAll);
  const text = Buffer.from('name=a match=7 batch=1');
  for (const name of files.names()) {
    const bytes = Buffer.from(files.image(name));
    const at = bytes.indexOf(text);
    if (at < 0) continue;
    // As if `batxh` were a key of a later version: the record holds.
    bytes[at + text.indexOf('batch') + 3] = 'x'.charCodeAt(0);
    reseal(bytes, at);
    files.put(name, bytes);
  }
  await assert.rejects(open(files), /another version of the broker: rule "a" sets "batxh"/);
});

// Gives the record around the text at `at` checksums that hold.
function reseal(bytes: Buffer, textAt: number): void {
  const body = textAt - 64 - 4;
  const header = body - RECORD_HEADER_BYTES;
  const bodyBytes = bytes.readUInt32LE(header + 8);
  const into = codec.memory.subarray(0, bodyBytes);
  const sum = (from: number, size: number) => {
    into.set(bytes.subarray(from, from + size));
    return codec.crc32c(0, size);
  };
  const before = codec.memory.slice(0, bodyBytes);
  const key = (sum(header + 4, RECORD_HEADER_BYTES - 4) ^ bytes.readUInt32LE(header)) >>> 0;
  bytes.writeUInt32LE(sum(body, bodyBytes), header + 4);
  bytes.writeUInt32LE((sum(header + 4, RECORD_HEADER_BYTES - 4) ^ key) >>> 0, header);
  codec.memory.set(before);
}

test('a change that is written and not yet synced: unanswered, and after a crash whole or not there', async () => {
  const fates: [Fate, Rules][] = [
    ['lose', { a: '1 name=a match=7 batch=1' }],
    ['keep', { a: '2 name=a match=7 batch=2' }],
  ];
  for (const [fate, expected] of fates) {
    const world = await open(new MemoryFiles());
    await set(world, 'a', 'batch=1');
    const { files } = world;
    files.auto = false;
    const answers = change(world, 'a', 'batch=2');
    world.turn();
    while (files.pending.some(({ op }) => op !== 'sync')) {
      files.step(files.pending.findIndex(({ op }) => op !== 'sync'));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual([answers, files.pending.map(({ op }) => op)], [[], ['sync']]);
    assert.deepEqual(rulesOf(await open(files.crash(() => fate))), expected, fate);
  }
});

test('what was answered is there after a crash at any time; what was not is whole or not at all', async () => {
  let [answered, inDoubt, lives] = [0, 0, 0];
  for (let each = 0; each < 12; each++) {
    const random = new Random(seed + each);
    let files = new MemoryFiles();
    let known: Rules = {};
    for (let life = 0; life < 5; life++, lives++) {
      const why = `seed ${seed} + ${each}, life ${life}`;
      const world = await World.open(files, { rules: [], random });
      assert.deepEqual(rulesOf(world), known, why);
      let asked: Changed[] | undefined;
      let next: Rules = known;
      for (let step = random.below(120); step > 0; step--) {
        if (asked === undefined && random.below(4) === 0) {
          const which = random.below(NAMES.length);
          const name = NAMES[which]!;
          const isSet = known[name] === undefined || random.below(3) > 0;
          const value = isSet ? `${KEYS[which]}=${1 + random.below(99)}` : undefined;
          asked = change(world, name, value);
          next = { ...known };
          if (value === undefined) delete next[name];
          else next[name] = value;
        }
        if (random.below(3) === 0)
          world.publish([{ bucket: 1, body: 'x'.repeat(random.below(3000)) }]);
        world.files.step(random.below(Math.max(1, world.files.pending.length)));
        world.turn();
        if (random.below(5) === 0) await world.advance(100);
        else await new Promise((resolve) => setImmediate(resolve));
        if (asked?.length === 1) {
          assert.ok(asked[0]!.ok, JSON.stringify(asked[0]));
          answered++;
          known = rulesOf(world);
          asked = undefined;
        }
      }
      if (asked !== undefined) inDoubt++;
      const before = known;
      files = world.files.crash(anyFate(random));
      const found = rulesOf(await open(files.clone()));
      const said = (rules: Rules) =>
        Object.entries(rules).map(([name, text]) => `${name} ${text.split(' ').at(-1)}`);
      const isBefore = JSON.stringify(found) === JSON.stringify(before);
      const isNext = asked !== undefined && said(found).sort().join() === said(next).sort().join();
      assert.ok(isBefore || isNext, `${why}: ${JSON.stringify([before, next, found])}`);
      known = found;
      const { verdict } = await verifyLog(files.clone(), codec, () => {});
      assert.notEqual(verdict, 'damaged', why);
    }
  }
  assert.ok(answered > 2 * lives && inDoubt > lives / 10, `${answered} ${inDoubt} of ${lives}`);
});
