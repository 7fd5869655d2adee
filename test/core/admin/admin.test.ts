// Operators' commands against a broker in a world of the test's own: pages and their cursors, a test
// for each reason why nothing is delivered, peeks from memory and from indexes, purges to the last
// message that waited and not beyond, pauses that are on disk before they are answered.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type {
  BackupState,
  BucketInfo,
  BucketPage,
  Command,
  Outcome,
  PeekResult,
  PurgeState,
} from '../../../src/contract/commands.ts';
import { WHY_CODES, type WhyCode } from '../../../src/contract/why.ts';
import { Admin } from '../../../src/core/admin/admin.ts';
import { Desk, deepDesk } from '../../support/desk.ts';
import { Random, seedOf } from '../../support/random.ts';
import { acks, brokerOf, textOf, WALL_MS } from '../../support/world.ts';

const seed = seedOf('core/admin/admin.test');

const texts = (count: number, name: string) =>
  Array.from({ length: count }, (_, i) => `${name}.${i}`.padEnd(200, '~'));

describe('why nothing more is delivered', () => {
  const seen = new Set<WhyCode>();
  const why = (desk: Desk, code: WhyCode, bucket = 1) => {
    assert.equal(desk.bucket(bucket).why.code, code);
    seen.add(code);
  };
  const withMessages = (options: Parameters<typeof brokerOf>[0] = {}) => {
    const desk = new Desk(brokerOf(options));
    desk.world.publish(1, 'a', 'b', 'c');
    return desk;
  };

  test('empty, and storage-full when that is why nothing comes', () => {
    const desk = new Desk(brokerOf());
    why(desk, 'empty');
    desk.world.log.blockedBy = 'no space left';
    why(desk, 'storage-full');
  });

  test('no-consumer', () => why(withMessages(), 'no-consumer'));

  test('paused comes before whoever consumes', () => {
    const desk = withMessages();
    assert.ok(desk.pause('pause', '1').ok);
    why(desk, 'paused');
    const consumer = desk.world.consumer(1, 1);
    desk.run();
    assert.equal(consumer.take().length, 0);
    why(desk, 'paused');
  });

  test('consumers-at-limit, then consumer-silent with its time', () => {
    const desk = withMessages();
    const consumer = desk.world.consumer(1, 1);
    desk.run();
    why(desk, 'consumers-at-limit');
    desk.world.advance(4900, true);
    why(desk, 'consumers-at-limit');
    desk.world.advance(200, true);
    desk.wallMs = WALL_MS + 5100;
    why(desk, 'consumer-silent');
    assert.equal(desk.bucket(1).why.since, new Date(WALL_MS).toISOString());
    assert.equal(desk.bucket(1).consumersList[0]!.silentMs, 5100);
    consumer.send(acks(1));
    desk.run();
    why(desk, 'consumers-at-limit');
  });

  test('one consumer of two that waits is not a limit', () => {
    const desk = withMessages();
    desk.world.consumer(1, 3);
    desk.world.consumer(1, 3);
    desk.run();
    why(desk, 'delivering');
  });

  test('consumer-not-reading', () => {
    const desk = withMessages();
    const consumer = desk.world.rawConsumer();
    consumer.link.stuck = true;
    consumer.send(Uint8Array.from([...new Uint8Array(8), 1, ...new Uint8Array(7), 1, 0, 0, 0]));
    desk.run();
    desk.world.advance(1100, true);
    why(desk, 'consumer-not-reading');
  });

  test('heartbeat-pending', () => {
    const desk = new Desk(brokerOf());
    desk.world.consumer(1, 1);
    desk.run();
    desk.world.advance(1500, true);
    desk.world.publish(1, 'a');
    why(desk, 'heartbeat-pending');
  });

  test('memory-full', () => {
    const desk = withMessages();
    assert.ok(desk.pause('pause', '1').ok);
    desk.world.consumer(1, 1);
    desk.world.broker.budget.bytes = Number.MAX_SAFE_INTEGER;
    assert.ok(desk.pause('resume', '1').ok);
    why(desk, 'memory-full');
  });

  test('reading, while the disk works', () => {
    const desk = deepDesk();
    for (let i = 0; i < 20; i++) desk.world.publish(1, ...texts(20, `${i}`));
    desk.world.consumer(1, 1);
    desk.world.turn();
    let code: string | undefined;
    desk.admin.ask({ kind: 'bucket', id: '1' }, (outcome) => {
      code = outcome.ok ? (outcome.result as BucketInfo).why.code : undefined;
    });
    assert.equal(code, 'reading');
    seen.add('reading');
  });

  test('redelivering', () => {
    const desk = withMessages();
    const consumer = desk.world.consumer(1, 1);
    desk.run();
    assert.ok(desk.pause('pause', '1').ok);
    consumer.send(acks(0));
    desk.run();
    assert.equal(desk.bucket(1).returned, 1);
    desk.world.broker.paused.set('1', false); // without the delivery that would follow
    why(desk, 'redelivering');
  });

  test('suspended', () => {
    const desk = withMessages();
    desk.world.broker.suspend();
    why(desk, 'suspended');
    desk.world.broker.goOn();
    why(desk, 'no-consumer');
  });

  test('suspects-first, and suspects-out while they are held', () => {
    const desk = new Desk(brokerOf());
    desk.world.publish(1, 'a', 'b', 'c', 'd');
    const lost = desk.world.consumer(1, 3);
    desk.run();
    desk.world.broker.paused.set('1', true);
    lost.vanish();
    const next = desk.world.consumer(1, 10);
    desk.run();
    desk.world.broker.paused.set('1', false); // without the delivery that would follow
    why(desk, 'suspects-first');
    desk.world.broker.dispatch(desk.world.broker.buckets.find(1, 0));
    desk.run();
    assert.equal(desk.bucket(1).unacked, 2);
    why(desk, 'suspects-out');
    next.send(acks(1, 1));
    desk.run();
    assert.deepEqual([desk.bucket(1).unacked, desk.bucket(1).ready], [1, 1], 'the rest is next');
    why(desk, 'consumers-at-limit');
  });

  test('at-max-in-flight, whether consumers wait or hold what is allowed', () => {
    const desk = new Desk(brokerOf({ rules: ['1 max_in_flight=2'] }));
    desk.world.publish(1, 'a', 'b', 'c');
    const first = desk.world.consumer(1, 10);
    desk.run();
    assert.equal(desk.bucket(1).unacked, 2);
    why(desk, 'at-max-in-flight');
    desk.world.consumer(1, 10);
    desk.run();
    why(desk, 'at-max-in-flight');
    first.send(acks(1));
    desk.run();
    first.send(acks(1));
    desk.run();
    why(desk, 'delivering');
  });

  test('at-rate, until when', () => {
    const desk = new Desk(brokerOf({ rules: ['1 rate=2'] }));
    desk.world.advance(1000, true);
    desk.world.publish(1, 'a', 'b');
    const consumer = desk.world.consumer(1, 10);
    desk.run();
    consumer.send(acks(1));
    desk.run();
    why(desk, 'at-rate');
    // What a wake-up may be late is made good.
    assert.equal(desk.bucket(1).why.until, new Date(WALL_MS + 450).toISOString());
    desk.world.advance(475, true);
    why(desk, 'consumers-at-limit');
  });

  test('in-retry, and in-order-hold where the rest must not overtake', () => {
    const desk = new Desk(brokerOf({ rules: ['1 retry=5s', '2 retry=5s max_in_flight=1'] }));
    desk.world.publish(1, 'a');
    desk.world.consumer(1, 10).send(acks(0));
    desk.run();
    why(desk, 'in-retry');
    assert.deepEqual([desk.bucket(1).ready, desk.bucket(1).delayed], [0, 1]);
    desk.world.publish(2, 'a', 'b');
    desk.world.consumer(2, 10).send(acks(0));
    desk.run();
    assert.deepEqual([desk.bucket(2).ready, desk.bucket(2).delayed], [1, 1]);
    why(desk, 'in-order-hold', 2);
  });

  test('virtual-turn and behind-higher, of the sources of a virtual bucket', () => {
    const rules = [
      '9 sources=1-3 order=strict max_in_flight=2',
      '2 priority=5',
      '3 max_in_flight=1',
    ];
    const desk = new Desk(brokerOf({ rules }));
    for (const bucket of [1, 2, 3]) desk.world.publish(bucket, 'a', 'b', 'c');
    why(desk, 'no-consumer');
    assert.equal(desk.bucket(1).virtual, '9');
    const consumer = desk.world.consumer(9, 1);
    desk.run();
    why(desk, 'behind-higher');
    why(desk, 'consumers-at-limit', 9);
    assert.equal(desk.bucket(9).sources, 3);
    consumer.send(acks(1));
    consumer.send(acks(1));
    consumer.send(acks(1));
    desk.run();
    why(desk, 'virtual-turn', 3);
    consumer.send(acks(1));
    desk.run();
    why(desk, 'at-max-in-flight', 3);
    desk.world.consumer(9, 1);
    const third = desk.world.consumer(9, 1);
    desk.run();
    why(desk, 'at-max-in-flight', 9);
    assert.equal(desk.bucket(1).unacked + desk.bucket(3).unacked, 2);
    assert.equal(third.take().length, 0);
  });

  test('delayed, where nobody was given anything yet', () => {
    const desk = new Desk(brokerOf({ rules: ['1 delay=5s', '2 delay=5s retry=9s'] }));
    desk.world.publish(1, 'a');
    why(desk, 'delayed');
    assert.deepEqual([desk.bucket(1).ready, desk.bucket(1).delayed], [0, 1]);
    desk.world.publish(2, 'a');
    desk.world.pass(5050);
    desk.world.consumer(2, 10).send(acks(0));
    desk.world.publish(2, 'b');
    desk.run();
    why(desk, 'in-retry', 2);
  });

  test('consumer-silent, until its lease is over', () => {
    const desk = new Desk(brokerOf({ rules: ['1 lease=8s'] }));
    desk.world.publish(1, 'a');
    desk.world.consumer(1, 1);
    desk.run();
    desk.world.advance(5100, true);
    why(desk, 'consumer-silent');
    assert.equal(desk.bucket(1).why.until, new Date(WALL_MS + 2900).toISOString());
    desk.world.advance(3000, true);
    why(desk, 'no-consumer');
  });

  test('dying-waits: what died cannot be moved while the disk is full', () => {
    const desk = withMessages();
    const { world } = desk;
    const consumer = world.consumer(1, 1);
    desk.run();
    world.log.next = false;
    world.log.blockedBy = 'full';
    consumer.send(acks(2));
    desk.run();
    why(desk, 'dying-waits');
  });

  test('expiring: what waited too long is more than can be moved at once', () => {
    const desk = new Desk(brokerOf({ rules: ['1 ttl=1s'], limits: { marksMax: 1 } }));
    const { world } = desk;
    for (const body of ['a', 'b', 'c']) world.publish(1, body);
    world.log.raised = false;
    world.pass(2100);
    why(desk, 'expiring');
  });

  test('to say why does not move the line on', () => {
    const desk = withMessages();
    const { world } = desk;
    const { buckets, paused } = world.broker;
    for (let i = 0; i < 3; i++) world.publish(1, `more.${i}`);
    // As after a start that found the first record settled.
    buckets.outcomes.settled.add(1, 3);
    buckets.recovered(world.broker.nextSequence, 3, false);
    paused.set('1', true);
    world.consumer(1, 1);
    desk.run();
    paused.set('1', false);
    const slot = buckets.find(1, 0);
    const before = buckets.headOf(slot);
    why(desk, 'delivering');
    assert.deepEqual(buckets.headOf(slot), before);
    world.broker.dispatch(slot);
    assert.notDeepEqual(buckets.headOf(slot), before);
  });

  test('purging, and stopping', () => {
    const desk = withMessages();
    desk.admin.ask({ kind: 'purge', id: '1' }, () => {});
    why(desk, 'purging');
    desk.world.broker.close();
    assert.deepEqual(desk.outcome({ kind: 'bucket', id: '1' }), {
      ok: false,
      code: 'stopping',
      detail: 'the broker is stopping: ask again when it has started',
    });
    seen.add('stopping');
  });

  test('each code has a test', () => {
    assert.deepEqual([...seen].sort(), [...WHY_CODES].sort());
  });
});

describe('pages of buckets', () => {
  const sorts = ['backlog', 'age', 'rate', 'id'] as const;

  test(`pages joined are the list, each once, in order (seed ${seed})`, () => {
    const random = new Random(seed);
    const desk = new Desk(brokerOf());
    const ids = new Set<bigint>();
    while (ids.size < 40) ids.add((BigInt(random.below(3)) << 62n) + BigInt(random.below(5000)));
    for (const id of ids) {
      desk.world.clockMs += 1000;
      desk.world.publish(id, ...texts(1 + random.below(4), 'x'));
    }
    const whole = (sort: (typeof sorts)[number], limit: number) => {
      const rows: BucketPage['buckets'] = [];
      for (let cursor: string | undefined; ; ) {
        const page = desk.ask<BucketPage>({ kind: 'buckets', sort, limit, cursor });
        assert.ok(page.buckets.length <= limit);
        assert.equal(page.count, ids.size);
        rows.push(...page.buckets);
        if (page.cursor === null) return rows;
        cursor = page.cursor;
      }
    };
    for (const sort of sorts) {
      const all = whole(sort, 1000);
      assert.deepEqual(whole(sort, 7), all, sort);
      assert.deepEqual(new Set(all.map(({ id }) => BigInt(id))), ids, sort);
    }
    const byId = whole('id', 9).map(({ id }) => BigInt(id));
    assert.deepEqual(
      byId,
      [...ids].sort((a, b) => (a < b ? -1 : 1)),
    );
    const backlog = whole('backlog', 9).map(({ ready }) => ready);
    assert.deepEqual(
      backlog,
      [...backlog].sort((a, b) => b - a),
    );
    const ages = whole('age', 9).map(({ oldestAgeMs }) => oldestAgeMs!);
    assert.deepEqual(
      ages,
      [...ages].sort((a, b) => b - a),
    );
    assert.ok(ages[0]! > ages.at(-1)!);
  });

  test('a prefix picks ids, and what is no prefix or cursor is refused', () => {
    const desk = new Desk(brokerOf());
    for (const id of [4, 40, 41, 5, 450]) desk.world.publish(id, 'x');
    const query = { kind: 'buckets', sort: 'id', limit: 100 } as const;
    const page = desk.ask<BucketPage>({ ...query, prefix: '4' });
    assert.deepEqual(
      page.buckets.map(({ id }) => id),
      ['4', '40', '41', '450'],
    );
    for (const bad of [{ prefix: 'x' }, { cursor: 'nonsense' }, { cursor: 'age:1:2:3' }]) {
      const outcome = desk.outcome({ ...query, ...bad });
      assert.ok(!outcome.ok && outcome.code === 'bad-request', JSON.stringify(outcome));
    }
  });

  test('many buckets take many turns, and little of each', () => {
    const desk = new Desk(brokerOf());
    const { buckets } = desk.world.broker;
    for (let id = 0; id < 100_000; id++) buckets.open(id, 1);
    let page: BucketPage | undefined;
    const query = { kind: 'buckets', sort: 'id', limit: 10 } as const;
    desk.admin.ask(query, (outcome) => {
      page = (outcome as { result: BucketPage }).result;
    });
    let turns = 0;
    for (; page === undefined; turns++) desk.turns.shift()!();
    assert.ok(turns >= 5, `${turns} turns`);
    assert.deepEqual(page.buckets[0]!.id, (1n << 32n).toString());
  });

  test('rates fade, and a slot that is used again begins at none', () => {
    const desk = new Desk(brokerOf());
    desk.world.publish(1, ...texts(10, 'x'));
    assert.equal(desk.bucket(1).publishedRate, 2); // ten over five seconds
    desk.world.advance(5000, true);
    assert.equal(desk.bucket(1).publishedRate, 0.7);
    const consumer = desk.world.consumer(1, 10);
    desk.run();
    consumer.send(acks(...Array(10).fill(1)));
    desk.run();
    assert.equal(desk.bucket(1).settledRate, 2);
    consumer.vanish();
    desk.run();
    desk.world.publish(2, 'x');
    assert.equal(desk.bucket(2).settledRate, 0);
  });
});

describe('peek', () => {
  test('shows what came back first, then the line, and takes nothing', () => {
    const desk = new Desk(brokerOf());
    desk.world.publish(1, 'a', 'b', 'c', 'd');
    const consumer = desk.world.consumer(1, 2);
    desk.run();
    assert.deepEqual(desk.peek(1), ['c', 'd']);
    consumer.vanish();
    desk.run();
    assert.deepEqual(desk.peek(1), ['a', 'b', 'c', 'd']);
    assert.deepEqual(desk.peek(1, 3, 1), ['a', 'b', 'c']);
    assert.deepEqual(desk.peek(2), []);
    const { messages } = desk.ask<PeekResult>({ kind: 'peek', id: '1', limit: 1, bytes: 1 });
    // Lost with another one: nobody knows which of them is to blame.
    const expected = { sequence: '1', attempts: 0, length: 1, truncated: false };
    assert.deepEqual(messages, [{ ...expected, payload: 'YQ==' }]);
    assert.equal(desk.bucket(1).ready, 4);
  });

  test('says when a message is longer than what it shows', () => {
    const desk = new Desk(brokerOf());
    desk.world.publish(1, 'abcdef');
    const { messages } = desk.ask<PeekResult>({ kind: 'peek', id: '1', limit: 1, bytes: 2 });
    const [{ length, truncated, payload }] = messages;
    assert.deepEqual([length, truncated, payload], [6, true, 'YWI=']);
  });

  for (const slotsMax of [undefined, 2])
    test(`reaches through indexes, slots at most ${slotsMax ?? 'many'}`, () => {
      const desk = deepDesk(slotsMax);
      const expected: string[] = [];
      for (let i = 0; i < 20; i++) {
        const some = texts(5, `round ${i}`);
        expected.push(...some);
        desk.world.publish(1, ...some);
        desk.world.publish(2, ...texts(10, 'other'));
        desk.world.publish(3, ...texts(10, 'third'));
      }
      assert.ok(desk.world.log.indexes.size > 2);
      assert.deepEqual(desk.peek(1, 60), expected.slice(0, 60));
      const consumer = desk.world.consumer(1, 33);
      desk.run();
      const { unacked } = consumer.session;
      assert.ok(unacked > 1);
      consumer.send(acks(...Array(unacked).fill(1)));
      desk.run();
      consumer.vanish();
      desk.run();
      assert.deepEqual(desk.peek(1, 60), expected.slice(unacked, unacked + 60));
    });

  test('a record that cannot be read is said, not hidden', () => {
    const desk = deepDesk();
    for (let i = 0; i < 20; i++) desk.world.publish(1, ...texts(20, `${i}`));
    let outcome: Outcome | undefined;
    desk.admin.ask({ kind: 'peek', id: '1', limit: 1, bytes: 10 }, (result) => {
      outcome = result;
    });
    while (desk.world.log.loads.length === 0) assert.ok(desk.world.log.work());
    desk.world.log.loaded(new Error('bad sector'));
    assert.ok(outcome !== undefined && !outcome.ok);
    assert.match(outcome.detail, /bucket 1 cannot be read: bad sector/);
  });
});

describe('purge', () => {
  const purge = (desk: Desk, id: number) => desk.ask<PurgeState>({ kind: 'purge', id: String(id) });

  test('counts what is durable, and only that', () => {
    const desk = new Desk(brokerOf());
    desk.world.publish(1, 'a', 'b', 'c');
    purge(desk, 1);
    for (const turn of desk.turns.splice(0)) turn();
    assert.equal(desk.bucket(1).ready, 0);
    assert.deepEqual([desk.bucket(1).purge!.purged, desk.bucket(1).purge!.done], [0, false]);
    desk.world.advance(1000); // sealed, and the disk takes its time
    assert.equal(desk.bucket(1).purge!.purged, 0);
    desk.runOn();
    const { purged, done } = desk.bucket(1).purge!;
    assert.deepEqual([purged, done], [3, true]);
    assert.equal(desk.world.broker.retention.live, 0);
  });

  test('leaves what consumers hold, and what comes later', () => {
    const desk = new Desk(brokerOf());
    desk.world.publish(1, 'a', 'b', 'c', 'd');
    const consumer = desk.world.consumer(1, 2);
    desk.run();
    purge(desk, 1);
    desk.world.publish(1, 'later');
    desk.runOn();
    assert.deepEqual([desk.bucket(1).purge!.purged, desk.bucket(1).purge!.done], [2, true]);
    assert.equal(desk.bucket(1).unacked, 2);
    assert.deepEqual(desk.peek(1), ['later']);
    consumer.take();
    consumer.send(acks(1, 1));
    desk.run();
    assert.match(textOf(consumer.take()), /later/);
  });

  for (const slotsMax of [undefined, 2])
    test(`reaches through indexes, slots at most ${slotsMax ?? 'many'}`, () => {
      const desk = deepDesk(slotsMax);
      for (let i = 0; i < 20; i++) {
        desk.world.publish(1, ...texts(5, `round ${i}`));
        desk.world.publish(2, ...texts(10, 'other'));
        desk.world.publish(3, ...texts(10, 'third'));
      }
      assert.ok(desk.world.log.indexes.size > 2);
      purge(desk, 1);
      desk.world.publish(1, 'later');
      desk.runOn();
      assert.deepEqual([desk.bucket(1).purge!.purged, desk.bucket(1).purge!.done], [100, true]);
      assert.deepEqual(desk.peek(1), ['later']);
      assert.equal(desk.world.broker.retention.live, 401);
      assert.equal(desk.world.broker.buckets.ready, 401);
    });

  test('one that runs is not begun again, and an empty bucket is done at once', () => {
    const desk = new Desk(brokerOf());
    desk.world.publish(1, 'a');
    const [first, second] = [purge(desk, 1), purge(desk, 1)];
    assert.equal(first.startedAt, second.startedAt);
    desk.runOn();
    assert.equal(desk.world.broker.counters.purgedMessages, 1);
    assert.equal(purge(desk, 9).done, true);
    assert.equal(desk.world.notices.filter(({ kind }) => kind === 'admin.purge').length, 1);
  });
});

describe('pause', () => {
  test('stops deliveries until it is resumed; publishes go on', () => {
    const desk = new Desk(brokerOf());
    const consumer = desk.world.consumer(1, 10);
    assert.ok(desk.pause('pause', '1').ok);
    desk.world.publish(1, 'a');
    assert.equal(consumer.take().length, 0);
    assert.ok(desk.pause('resume', '1').ok);
    desk.run();
    assert.match(textOf(consumer.take()), /a/);
  });

  test('is not there when the disk did not take it', () => {
    const desk = new Desk(brokerOf());
    desk.world.log.blockedBy = 'no space left';
    const outcome = desk.outcome({ kind: 'pause', id: '1' });
    assert.ok(!outcome.ok && outcome.code === 'no-space');
    assert.match(
      outcome.detail,
      /bucket 1 cannot be paused: the disk is full.*Nothing has changed/,
    );
    assert.equal(desk.bucket(1).paused, false);
  });
});

describe('connections and segments', () => {
  test('are listed in pages, and one can be closed', () => {
    const desk = new Desk(brokerOf());
    const peers = [desk.world.producer(), desk.world.consumer(7, 3), desk.world.producer()];
    const first = desk.ask<{ connections: { id: number }[]; cursor: string }>({
      kind: 'connections',
      limit: 2,
    });
    const rest = desk.ask<{ connections: { id: number }[]; cursor: null }>({
      kind: 'connections',
      limit: 2,
      cursor: first.cursor,
    });
    const ids = [...first.connections, ...rest.connections].map(({ id }) => id);
    assert.deepEqual(
      ids,
      peers.map(({ link }) => link.id).sort((a, b) => a - b),
    );
    assert.equal(rest.cursor, null);
    const close = { kind: 'close', connection: peers[1]!.link.id } as const;
    assert.ok(desk.outcome(close).ok);
    assert.ok(peers[1]!.link.destroyed);
    desk.run();
    const gone = desk.outcome(close);
    assert.ok(!gone.ok && gone.code === 'not-found');
  });

  test('segments say what pins the log', () => {
    const desk = deepDesk();
    desk.world.publish(9, 'pinned');
    for (let i = 0; i < 10; i++) desk.world.publish(1, ...texts(20, `${i}`));
    const { segments } = desk.ask<{ segments: { state: string; pinned: boolean }[] }>({
      kind: 'segments',
      limit: 100,
    });
    assert.ok(segments.length > 2);
    assert.deepEqual(
      segments.filter(({ pinned }) => pinned),
      [segments[0]],
    );
    assert.equal(segments.at(-1)!.state, 'open');
    assert.equal(segments[0]!.state, 'indexed');
  });
});

test('what is no bucket is refused with what one is', () => {
  const desk = new Desk(brokerOf());
  for (const id of ['', 'x', '-1', '01', (2n ** 64n).toString(), '1e3'])
    for (const kind of ['bucket', 'purge', 'pause', 'resume'] as const) {
      const outcome = desk.outcome({ kind, id });
      assert.ok(!outcome.ok, `${kind} ${id}`);
      assert.match(outcome.detail, /is no bucket: an id is a number from 0 to 2\^64 - 1/);
    }
});

describe('backup', () => {
  test('a broker without a maker of backups says so; with one it gives it the settings', () => {
    const desk = new Desk(brokerOf());
    const none = desk.outcome({ kind: 'backup', into: '/x' });
    assert.ok(!none.ok && none.code === 'failed');
    let state: BackupState | null = null;
    const admin = new Admin({
      broker: desk.world.broker,
      log: desk.world.log.ports,
      backups: {
        get state() {
          return state;
        },
        begin: (into, done) => {
          state = { into } as BackupState;
          done({ ok: true, result: state });
        },
        cancel: () => state,
      },
      wallMs: () => 0,
      base64: () => '',
      soon: () => {},
      after: () => {},
    });
    const outcomes: Outcome[] = [];
    const ask = (command: Command) => admin.ask(command, (outcome) => void outcomes.push(outcome));
    ask({ kind: 'backup-state' });
    ask({ kind: 'backup-cancel' });
    for (const outcome of outcomes) assert.ok(!outcome.ok && outcome.code === 'not-found');
    ask({ kind: 'backup', into: '/x' });
    ask({ kind: 'backup-state' });
    for (const outcome of outcomes.slice(2)) {
      assert.ok(outcome.ok);
      assert.equal((outcome.result as BackupState).into, '/x');
    }
    assert.equal(outcomes.length, 4);
  });
});
