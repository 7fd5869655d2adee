// What whoever follows messages is told by a broker: each event with its cause, in the order of
// what happens; nothing where nobody does; and an observer that throws changes nothing.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Admin } from '../../../src/core/admin/admin.ts';
import { Following } from '../../../src/core/following/following.ts';
import type { Holder, Observer, Run } from '../../../src/core/ports/observer.ts';
import { acks, batch, brokerOf, type World } from '../../support/world.ts';

type Told = [event: string, bucket: number, sequence: number, count: number, ...more: unknown[]];

/** Notes what it is told; a test can switch it off, and let it throw. */
class Notes implements Observer {
  readonly told: Told[] = [];
  readonly runs: Run[] = [];
  active = true;
  failure: unknown;

  #note(event: string, run: Run, holder?: Holder, cause?: string): void {
    const { bucketLow, bucketHigh, sequence, count, attempts } = run;
    const more = holder === undefined ? [] : [holder.link.peer];
    const why = cause === undefined ? [] : [cause, attempts];
    const bucket = bucketHigh * 2 ** 32 + bucketLow;
    this.told.push([event, bucket, sequence, count, ...more, ...why]);
    this.runs.push({ ...run });
    if (this.failure !== undefined) throw this.failure;
  }

  sealed(run: Run): void {
    this.#note('sealed', run);
  }

  durable(run: Run): void {
    this.#note('durable', run);
  }

  delivered(run: Run, to: Holder | undefined): void {
    this.#note('delivered', run, to);
  }

  settled(run: Run, cause: string, by: Holder | undefined): void {
    this.#note('settled', run, by, cause);
  }

  requeued(run: Run, cause: string, by: Holder | undefined): void {
    this.#note('requeued', run, by, cause);
  }

  deferred(run: Run, cause: string, by: Holder | undefined): void {
    this.#note('deferred', run, by, cause);
  }

  take(): Told[] {
    return this.told.splice(0);
  }
}

function purge(world: World, bucket: string): void {
  const turns: (() => void)[] = [];
  const admin = new Admin({
    broker: world.broker,
    log: world.log.ports,
    wallMs: () => world.wallMs,
    base64: () => '',
    soon: (call) => void turns.push(call),
    after: () => {},
  });
  admin.ask({ kind: 'purge', id: bucket }, ({ ok }) => assert.ok(ok));
  for (const turn of turns.splice(0)) turn();
}

describe('a life', () => {
  test('sealed before it is written, durable before producer and consumer hear of it', () => {
    const notes = new Notes();
    const world = brokerOf({ observer: notes });
    const consumer = world.consumer(2 ** 32 + 5, 10);
    const producer = world.producer();
    producer.send(batch('u64', [2 ** 32 + 5, 'a'], [2 ** 32 + 5, 'b'], [6, 'c']));
    world.turn();
    const sealed: Told[] = [
      ['sealed', 2 ** 32 + 5, 1, 2],
      ['sealed', 6, 3, 1],
    ];
    assert.deepEqual(notes.take(), sealed);
    assert.ok(world.log.appending && producer.take().length === 0);
    world.log.complete();
    const { peer } = consumer.link;
    assert.deepEqual(notes.take(), [
      ['durable', 2 ** 32 + 5, 1, 2],
      ['durable', 6, 3, 1],
      ['delivered', 2 ** 32 + 5, 1, 2, peer],
    ]);
    consumer.send(acks(1, 1));
    assert.deepEqual(notes.take(), [['settled', 2 ** 32 + 5, 1, 2, peer, 'done', 0]]);
    // Where its record stands and how large that is, each time.
    const mine = notes.runs.filter(({ sequence }) => sequence === 1);
    assert.equal(new Set(mine.map(({ position, bytes }) => `${position} ${bytes}`)).size, 1);
    assert.ok(mine[0]!.position > 0 && mine[0]!.bytes > 2);
  });

  test('what fails or is lost is ready again, one attempt later', () => {
    const notes = new Notes();
    const world = brokerOf({ observer: notes });
    world.publish(1, 'a', 'b', 'c', 'd');
    notes.take();
    const first = world.consumer(1, 4);
    const { peer } = first.link;
    first.send(acks(1, 0, 1));
    assert.deepEqual(notes.take(), [
      ['delivered', 1, 1, 4, peer],
      ['settled', 1, 1, 1, peer, 'done', 0],
      ['requeued', 1, 2, 1, peer, 'failed', 1],
      ['settled', 1, 3, 1, peer, 'done', 0],
    ]);
    first.vanish();
    assert.deepEqual(notes.take(), [['requeued', 1, 4, 1, peer, 'lost', 1]]);
    const second = world.consumer(1, 4);
    second.send(acks(1));
    second.send(acks(1));
    const seen = notes
      .take()
      .map(([event, , sequence, count, , , attempts]) => [event, sequence, count, attempts]);
    // The one whose consumer died comes alone.
    assert.deepEqual(seen, [
      ['delivered', 4, 1, undefined],
      ['settled', 4, 1, 1],
      ['delivered', 2, 1, undefined],
      ['settled', 2, 1, 1],
    ]);
  });

  test('what a stop keeps from being moved is ready again; then it may be dropped', () => {
    const notes = new Notes();
    const rules = ['7 max_deliveries=1 max_messages=1 overflow=drop-oldest'];
    const world = brokerOf({ observer: notes, rules, resume: { places: true } });
    world.publish(7, 'a');
    const consumer = world.consumer(7, 1);
    const { peer } = consumer.link;
    notes.take();
    const producer = world.producer();
    producer.send(batch('u64', [7, 'b']));
    world.turn();
    consumer.send(acks(0));
    world.broker.close();
    const before = notes.take().filter(([event]) => event !== 'sealed' && event !== 'durable');
    assert.deepEqual(before, [['requeued', 7, 1, 1, peer, 'failed', 1]]);
    world.settle();
    const after = notes.take().filter(([event]) => event !== 'sealed' && event !== 'durable');
    assert.deepEqual(after, [['settled', 7, 1, 1, 'dropped', 1]]);
  });

  test('why a lost link was closed is known by then', () => {
    const closed: string[] = [];
    const notes = new Notes();
    notes.requeued = (_run, _cause, by) => void closed.push(by!.closedFor);
    const world = brokerOf({ observer: notes });
    world.publish(1, 'a');
    const rude = world.consumer(1);
    rude.send(acks(1, 1, 1));
    world.turn();
    world.consumer(1).vanish();
    assert.deepEqual(closed, ['protocol', 'peer']);
  });

  test('an operator settles what waits: nobody held it', () => {
    const notes = new Notes();
    const world = brokerOf({ observer: notes });
    world.publish(1, 'a', 'b');
    notes.take();
    purge(world, '1');
    assert.deepEqual(notes.take(), [['settled', 1, 1, 2, 'purged', 0]]);
  });
});

describe('an observer', () => {
  test('is told nothing while it is not active, and everything once it is', () => {
    const notes = new Notes();
    notes.active = false;
    const world = brokerOf({ observer: notes });
    const consumer = world.consumer(1, 1);
    world.publish(1, 'a', 'b');
    consumer.send(acks(0));
    assert.deepEqual(notes.take(), []);
    notes.active = true;
    consumer.send(acks(1));
    assert.equal(notes.take()[0]![0], 'settled');
  });

  test('is left out once it has thrown: messages go on, and the operator is told once', () => {
    for (const failure of [new Error('mine'), 'mine']) {
      const notes = new Notes();
      notes.failure = failure;
      const world = brokerOf({ observer: notes });
      world.publish(1, 'a', 'b');
      const consumer = world.consumer(1, 2);
      consumer.send(acks(1, 0));
      consumer.vanish();
      assert.deepEqual(notes.take(), [['sealed', 1, 1, 2]]);
      assert.equal(world.broker.following.active, false);
      const found = world.notices.filter(({ kind }) => kind === 'following.failed');
      assert.match(
        found.map(({ text }) => text).join('|'),
        /^what follows messages failed: mine\. /,
      );
      const again = world.consumer(1, 2);
      again.send(acks(1));
      world.advance(200, true);
      assert.equal(world.broker.counters.ackedMessages, 2);
      assert.ok(world.broker.quiet);
    }
  });

  test('that is not there is no observer', () => {
    const { broker } = brokerOf();
    assert.equal(broker.following.active, false);
    new Following(undefined, broker).sealed({
      base: 0,
      rows: { words: new Uint32Array(), count: 0 },
    });
  });
});
