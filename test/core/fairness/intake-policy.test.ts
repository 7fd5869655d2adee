// A broker with a policy of the test's own: what it refuses is answered 0 in its place and stored
// nowhere, what it lets in is exact, however the bytes come, and it is asked about nothing else.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DeliveryDecoder } from '../../../src/codec/wire.ts';
import type { IntakePolicy, WatchedRun } from '../../../src/core/fairness/intake-policy.ts';
import type { WatchedBuckets } from '../../../src/core/fairness/watched-buckets.ts';
import { freshEngine } from '../../support/engine.ts';
import { Random, seedOf } from '../../support/random.ts';
import { acks, batch, brokerOf, smallCodec, textOf, type World } from '../../support/world.ts';

const seed = seedOf('core/fairness/intake-policy.test');
const U64_MAX = 2n ** 64n - 1n;
const codecs = [
  ['plain', smallCodec],
  ['wasm', () => freshEngine()],
] as const;

type Message = [bucket: number, body: string];

/** Watches these buckets, or all; remembers what it was asked. */
abstract class TestPolicy implements IntakePolicy {
  watched: WatchedBuckets;
  readonly asked: number[][] = [];

  constructor(...buckets: number[]) {
    const masked = buckets.map((id) => ({ mask: U64_MAX, value: BigInt(id), rule: 100 + id }));
    const ranges = buckets.length === 0 ? [{ first: 0n, last: U64_MAX, rule: 1 }] : [];
    this.watched = { masked, ranges };
  }

  admit(run: WatchedRun): void {
    this.asked.push([run.rule, run.low, run.high, run.messages, run.bytes]);
    assert.deepEqual([run.take, run.refuse], [run.messages, 0]);
    this.decide(run);
  }

  abstract decide(run: WatchedRun): void;
  packed(_run: WatchedRun, _messages: number, _bytes: number): void {}
}

class Closed extends TestPolicy {
  decide(run: WatchedRun): void {
    run.take = 0;
    run.refuse = run.messages;
  }
}

class EverySecond extends TestPolicy {
  #refuse = false;

  decide(run: WatchedRun): void {
    run.take = this.#refuse ? 0 : 1;
    run.refuse = this.#refuse ? 1 : 0;
    this.#refuse = false;
  }

  override packed(_run: WatchedRun, messages: number): void {
    assert.equal(messages, 1);
    this.#refuse = true;
  }
}

/** So many messages for each bucket; of those that are on their way, too. */
class Quota extends TestPolicy {
  readonly most: number;
  readonly counts = new Map<number, number>();
  readonly bytes = new Map<number, number>();

  constructor(most: number, ...buckets: number[]) {
    super(...buckets);
    this.most = most;
  }

  decide(run: WatchedRun): void {
    run.take = Math.min(run.messages, this.most - (this.counts.get(run.low) ?? 0));
    run.refuse = run.messages - run.take;
  }

  override packed({ low }: WatchedRun, messages: number, bytes: number): void {
    this.counts.set(low, (this.counts.get(low) ?? 0) + messages);
    this.bytes.set(low, (this.bytes.get(low) ?? 0) + bytes);
  }
}

/** Everything in a bucket, in order, by draining it. */
function drain(world: World, bucket: number): string[] {
  const consumer = world.consumer(bucket);
  const decoder = new DeliveryDecoder('u64');
  const found: string[] = [];
  for (let more = true; more; ) {
    world.settle();
    const frames = decoder.push(consumer.take());
    more = frames.length > 0;
    for (const frame of frames) {
      for (let i = 0; i < frame.count; i++) found.push(textOf(frame.body(i)));
      consumer.send(new Uint8Array(frame.count).fill(1));
    }
  }
  consumer.vanish();
  return found;
}

/** Sends the chunks through a producer; returns the replies and what buckets 1 to 4 then hold. */
function outcome(world: World, chunks: Iterable<Uint8Array>, wire = 8) {
  const producer = world.producer(wire);
  for (const chunk of chunks) {
    producer.send(chunk);
    world.turn();
  }
  world.settle();
  const replies = producer.take();
  producer.vanish();
  return { replies, stored: [1, 2, 3, 4].map((bucket) => drain(world, bucket).join(' ')) };
}

const LARGE = 'L'.repeat(1025); // a byte over the limit

for (const [name, codec] of codecs)
  describe(name, () => {
    const worldOf = (policy?: IntakePolicy) =>
      brokerOf({ codec: codec(), ...(policy && { policy }) });

    test('a bucket is refused, its neighbours are not', () => {
      const policy = new Closed(2);
      const world = worldOf(policy);
      const sent: Message[] = [
        [1, 'a'],
        [2, 'b'],
        [2, 'cc'],
        [1, 'd'],
        [2, 'e'],
      ];
      const { replies, stored } = outcome(world, [batch('u64', ...sent)]);
      assert.deepEqual(replies, acks(1, 0, 0, 1, 0));
      assert.deepEqual(stored, ['a d', '', '', '']);
      assert.deepEqual(policy.asked, [
        [102, 2, 0, 2, 3],
        [102, 2, 0, 1, 1],
      ]);
      const { counters } = world.broker;
      assert.deepEqual([counters.refusedByRule, counters.refusedFull], [3, 0]);
      assert.equal(counters.publishedMessages, 2);
    });

    test('a batch of which nothing is stored is answered at once, behind those before it', () => {
      const world = worldOf(new Closed(2));
      const producer = world.producer();
      producer.send(batch('u64', [2, 'a'], [2, 'b']));
      world.turn();
      assert.deepEqual(producer.take(), acks(0, 0));
      producer.send(batch('u64', [1, 'c']), batch('u64', [2, 'd']));
      world.turn();
      assert.deepEqual(producer.take(), acks());
      world.settle();
      assert.deepEqual(producer.take(), acks(1, 0));
    });

    test('every second message of one bucket, each a question of its own', () => {
      const policy = new EverySecond(2);
      const sent: Message[] = [1, 2, 2, 2, 2, 1, 2, 2, 3].map((id, i) => [id, `${i}`]);
      const { replies, stored } = outcome(worldOf(policy), [batch('u64', ...sent)]);
      assert.deepEqual(replies, acks(1, 1, 0, 1, 0, 1, 1, 0, 1));
      assert.deepEqual(stored, ['0 5', '1 3 6', '8', '']);
      assert.deepEqual(
        policy.asked.map(([, , , messages]) => messages),
        [4, 3, 2, 1, 2, 1],
      );
    });

    test('a quota: what is in the open batch counts, and what did not come in does not', () => {
      const policy = new Quota(3, 2);
      const world = worldOf(policy);
      const [first, second] = [world.producer(), world.producer()];
      first.send(batch('u64', [2, 'a'], [2, 'bb'], [2, '']));
      second.send(batch('u64', [2, LARGE], [2, 'ccc'], [2, 'd'], [1, 'e'], [2, 'f']));
      world.turn();
      assert.deepEqual(first.take(), acks());
      world.settle();
      assert.deepEqual(first.take(), acks(1, 1, 0));
      assert.deepEqual(second.take(), acks(0, 1, 0, 1, 0));
      assert.deepEqual(drain(world, 2), ['a', 'bb', 'ccc']);
      assert.deepEqual([...policy.bytes], [[2, 6]]);
      const { refusedEmpty, refusedLarge, refusedByRule } = world.broker.counters;
      assert.deepEqual([refusedEmpty, refusedLarge, refusedByRule], [1, 1, 2]);
    });

    test('every split of the bytes into two, and into single ones', () => {
      const sent: Message[] = [
        [1, 'a'],
        [2, 'b'],
        [2, 'cc'],
        [2, ''],
        [2, 'd'],
        [3, 'e'],
        [2, LARGE],
        [2, 'f'],
        [3, 'g'],
        [3, 'h'],
        [2, 'i'],
        [4, 'j'],
      ];
      const wholes = { u64: batch('u64', ...sent), u32: batch('u32', ...sent) };
      for (const [wire, whole] of [[8, wholes.u64] as const, [4, wholes.u32] as const]) {
        const splits: Uint8Array[][] = [Array.from(whole, (byte) => Uint8Array.of(byte))];
        for (let cut = 0; cut <= whole.length; cut++)
          if (cut < 200 || whole.length - cut < 150)
            splits.push([whole.subarray(0, cut), whole.subarray(cut)]);
        for (const chunks of splits) {
          const world = worldOf(new Quota(3, 2, 3));
          const { replies, stored } = outcome(world, chunks, wire);
          assert.deepEqual(replies, acks(1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 1));
          assert.deepEqual(stored, ['a', 'b cc d', 'e g h', 'j']);
        }
      }
    });

    test('more than finds room at a time is asked about again, and counted once', () => {
      const policy = new Quota(70, 2, 3);
      const limits = { segmentBytes: 16 * 1024, messageBytesMax: 1024, reserveBytes: 4096 };
      const world = brokerOf({ codec: codec(), policy, limits });
      const sent = Array.from({ length: 100 }, (_, i): Message => [2, `${i}`.padEnd(900)]);
      const producer = world.producer();
      producer.send(batch('u64', ...sent));
      world.turn();
      assert.ok(producer.link.paused, 'it had room');
      world.settle();
      assert.deepEqual(
        producer.take(),
        Uint8Array.from(sent, (_, i) => (i < 70 ? 1 : 0)),
      );
      assert.equal(policy.counts.get(2), 70);
      const found = drain(world, 2);
      assert.deepEqual(
        found,
        sent.slice(0, 70).map(([, body]) => body),
      );
    });

    test('beside who publishes little it is taken in portions, as without a policy', () => {
      const policy = new Quota(150, 2);
      const world = worldOf(policy);
      const little = world.producer();
      little.send(batch('u64', [1, 'little']));
      world.advance(50, true);
      assert.ok(world.broker.fairShare.shared);
      const sent = Array.from({ length: 200 }, (_, i): Message => [2, `${i}`]);
      const { replies } = outcome(world, [batch('u64', ...sent)]);
      assert.deepEqual(
        replies,
        Uint8Array.from(sent, (_, i) => (i < 150 ? 1 : 0)),
      );
      assert.deepEqual(
        policy.asked.map(([, , , messages]) => messages),
        [64, 64, 64, 8],
      );
    });

    test('a full disk refuses without asking', () => {
      const policy = new Quota(1000);
      const world = worldOf(policy);
      world.log.next = false;
      world.log.nextAfterRoll = false;
      world.log.blockedBy = 'no space left';
      const { broker } = world;
      const sent = Array.from({ length: 100 }, (_, i): Message => [2, `${i}`.padEnd(1000)]);
      const { replies, stored } = outcome(world, [batch('u64', ...sent)]);
      const taken = replies.filter((ack) => ack === 1).length;
      assert.ok(taken > 0 && taken < 100);
      assert.equal(broker.counters.refusedFull, 100 - taken);
      assert.equal(policy.counts.get(2), taken);
      assert.equal(stored[1]!.split(/ +/).filter((text) => text !== '').length, taken);
    });

    test('what it watches may change', () => {
      const policy = new Closed(2);
      const world = worldOf(policy);
      const sent = batch('u64', [1, 'a'], [2, 'b'], [3, 'c']);
      assert.deepEqual(outcome(world, [sent]).replies, acks(1, 0, 1));
      policy.watched = new Closed(1, 3).watched;
      assert.deepEqual(outcome(world, [sent]).replies, acks(1, 0, 1));
      world.broker.rules!.load();
      assert.deepEqual(outcome(world, [sent]).replies, acks(0, 1, 0));
      policy.watched = new Closed().watched;
      world.broker.rules!.load();
      assert.deepEqual(outcome(world, [sent]).replies, acks(0, 0, 0));
    });

    test('an answer about no message, or about more than there are, is a bug', () => {
      for (const [take, refuse] of [
        [0, 0],
        [2, 1],
        [3, 0],
        [-1, 2],
        [2, -1],
      ]) {
        const world = worldOf({
          watched: new Closed(2).watched,
          admit: (run) => Object.assign(run, { take, refuse }),
          packed: () => {},
        });
        const send = () => world.producer().send(batch('u64', [2, 'a'], [2, 'b']));
        assert.throws(send, /a policy answered/, `${take} and ${refuse}`);
      }
    });
  });

test('without a policy nothing is watched', () => {
  const codec = smallCodec();
  const world = brokerOf({ codec });
  assert.equal(world.broker.rules, undefined);
  outcome(world, [batch('u64', [1, 'a'], [2, 'b'])]);
  assert.ok(new Uint8Array(codec.rules.buffer).every((byte) => byte === 0));
});

test('whatever is sent by several, in any pieces: quotas are met exactly, in order', () => {
  const random = new Random(seed);
  for (let round = 0; round < 40; round++) {
    const policy = new Quota(1 + random.below(30), 2, 3);
    const codec = codecs[round % 2]![1]();
    const limits = { segmentBytes: 32 * 1024, messageBytesMax: 1024, reserveBytes: 4096 };
    const world = brokerOf({ codec, policy, limits });
    const accepted = new Map<number, string[]>();
    const valid = new Map<number, number>();
    const peers = Array.from({ length: 1 + random.below(4) }, () => ({
      peer: world.producer(),
      sent: [] as Message[],
    }));
    for (let turn = 0; turn < 12; turn++) {
      const { peer, sent } = peers[random.below(peers.length)]!;
      const messages = Array.from({ length: 1 + random.below(40) }, (_, i): Message => {
        const body =
          random.below(9) === 0 ? ['', LARGE][random.below(2)]! : `${round}.${turn}.${i}`;
        return [1 + random.below(3), body.padEnd(random.below(3) === 0 ? 0 : 300)];
      });
      for (const [bucket, body] of messages)
        if (body.length > 0 && body.length <= 1024) valid.set(bucket, (valid.get(bucket) ?? 0) + 1);
      sent.push(...messages);
      for (let rest = batch('u64', ...messages); rest.length > 0; ) {
        const size = 1 + random.below(random.chance(0.5) ? 40 : 4000);
        peer.send(rest.subarray(0, size));
        rest = rest.subarray(size);
      }
      if (random.chance(0.4)) world.turn();
      if (random.chance(0.3)) world.advance(50, true);
    }
    world.settle();
    for (const { peer, sent } of peers) {
      const replies = peer.take();
      assert.equal(replies.length, sent.length);
      sent.forEach(([bucket, body], i) => {
        if (replies[i] === 1) accepted.set(bucket, [...(accepted.get(bucket) ?? []), body]);
      });
    }
    for (const bucket of [1, 2, 3]) {
      const count = valid.get(bucket) ?? 0;
      const expected = bucket === 1 ? count : Math.min(count, policy.most);
      const found = drain(world, bucket);
      assert.equal(found.length, expected, `bucket ${bucket} in round ${round}`);
      assert.deepEqual(found.toSorted(), (accepted.get(bucket) ?? []).toSorted());
    }
  }
});
