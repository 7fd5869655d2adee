// The checker of histories: what is allowed when nodes are lost passes, and each kind of wrong that
// is planted in a history is found.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check, type Judgement, type Rules, type Wrong } from './checker.ts';
import { History } from './history.ts';

/** A history that is written by hand, in one bucket where no other is named. */
class Script {
  ms = 1_000;
  readonly history = new History(() => this.ms);

  producer(client = 'producer'): number {
    return this.history.open({ side: 'producer', client, to: 'a', bucket: -1, batch: 0 });
  }

  consumer(batch = 2, bucket = 7): number {
    return this.history.open({ side: 'consumer', client: 'consumer', to: 'a', bucket, batch });
  }

  publish(connection: number, count = 1): number[] {
    return Array.from({ length: count }, () => {
      const number = this.history.next(7);
      this.history.publish(connection, number);
      return number;
    });
  }

  stored(connection: number, count = 1): number[] {
    const numbers = this.publish(connection, count);
    for (const number of numbers) this.history.answered(connection, number, true);
    return numbers;
  }

  deliver(connection: number, ...numbers: number[]): void {
    for (const number of numbers) this.history.deliver(connection, number);
  }

  done(connection: number, ...numbers: number[]): void {
    for (const number of numbers) this.history.acked(connection, number, true);
  }

  take(connection: number, ...numbers: number[]): void {
    this.deliver(connection, ...numbers);
    this.done(connection, ...numbers);
  }

  judge(rules: Partial<Rules> = {}): Judgement {
    return check(this.history, { isDrained: true, ...rules });
  }

  /** What is wrong, and nothing else. */
  finds(wrong: Wrong[], rules: Partial<Rules> = {}): Judgement {
    const judgement = this.judge(rules);
    const said = judgement.problems.map(({ text }) => text).join('\n');
    assert.deepEqual(
      judgement.problems.map((each) => each.wrong),
      wrong,
      said,
    );
    return judgement;
  }
}

test('what goes well is counted', () => {
  const script = new Script();
  const producer = script.producer();
  const numbers = script.stored(producer, 3);
  script.history.answered(producer, ...([script.publish(producer)[0]!, false] as const));
  script.publish(producer);
  script.history.close(producer);
  const consumer = script.consumer();
  script.take(consumer, numbers[0]!, numbers[1]!);
  script.take(consumer, numbers[2]!);
  const { published, stored, refused, unknown, delivered, again } = script.finds([]);
  assert.deepEqual([published, stored, refused, unknown], [5, 3, 1, 1]);
  assert.deepEqual([delivered, again], [3, 0]);
});

test('what was acked and never came is lost, once all was waited for', () => {
  const script = new Script();
  const [first] = script.stored(script.producer(), 2);
  script.take(script.consumer(), first!);
  script.finds([], { isDrained: false });
  script.finds(['lost']);
});

test('what was delivered, not acked, and did not come again is lost', () => {
  const script = new Script();
  const [first] = script.stored(script.producer());
  const consumer = script.consumer();
  script.deliver(consumer, first!);
  script.history.close(consumer);
  script.finds(['lost']);
});

test('what nobody published is invented: foreign, too early, refused, of another bucket', () => {
  const script = new Script();
  const producer = script.producer();
  const consumer = script.consumer();
  script.history.foreign(consumer);
  const early = script.history.next(7);
  script.take(consumer, early);
  const [refused] = script.publish(producer);
  script.history.answered(producer, refused!, false);
  script.take(consumer, refused!);
  const other = script.history.next(8);
  script.history.publish(producer, other);
  script.take(consumer, other);
  script.take(consumer, 1000);
  script.finds(['invented', 'invented', 'invented', 'invented', 'invented']);
});

test('a publish of unknown outcome may come, or not', () => {
  const script = new Script();
  const producer = script.producer();
  const [first] = script.publish(producer, 2);
  script.history.close(producer);
  script.take(script.consumer(), first!);
  script.finds([]);
});

test('more answers than messages are against the protocol', () => {
  const script = new Script();
  const producer = script.producer();
  const [first] = script.stored(producer);
  script.history.answered(producer, first!, true);
  script.take(script.consumer(), first!);
  script.finds(['protocol']);
});

test('what was not acked when its connection broke comes again, at its old place', () => {
  const script = new Script();
  const numbers = script.stored(script.producer(), 4) as [number, number, number, number];
  const before = script.consumer();
  script.deliver(before, numbers[0], numbers[1]);
  script.history.close(before);
  const behind = script.consumer();
  script.take(behind, numbers[0], numbers[1]);
  script.take(behind, numbers[2], numbers[3]);
  assert.equal(script.finds([]).again, 2);
});

test('the ack of a consumer may be lost with its owner', () => {
  const script = new Script();
  const producer = script.producer();
  const [first] = script.stored(producer);
  const before = script.consumer();
  script.take(before, first!);
  script.history.close(before);
  const [second] = script.stored(producer);
  const behind = script.consumer();
  script.take(behind, first!, second!);
  assert.equal(script.finds([]).acksLost, 1);
});

test('but not once a later publish of the same owner was acked', () => {
  const script = new Script();
  const producer = script.producer();
  const numbers = script.stored(producer, 3) as [number, number, number];
  const before = script.consumer(1);
  script.take(before, numbers[0]);
  script.deliver(before, numbers[1]); // the first ack is known
  const [fourth] = script.stored(producer); // and stored with this
  script.done(before, numbers[1]);
  script.take(before, numbers[2]); // by an owner that still is one
  script.history.close(before);
  const behind = script.consumer();
  script.take(behind, numbers[0]);
  script.take(behind, numbers[1], numbers[2]);
  script.take(behind, fourth!);
  script.finds(['twice']);
});

test('a heartbeat does not prove that an owner still is one', () => {
  const script = new Script();
  const producer = script.producer();
  const numbers = script.stored(producer, 2) as [number, number];
  const before = script.consumer(1);
  script.take(before, numbers[0]);
  script.deliver(before, numbers[1]);
  const [third] = script.stored(producer);
  script.done(before, numbers[1]);
  script.history.beat(before);
  const behind = script.consumer();
  script.take(behind, numbers[0], numbers[1]);
  script.take(behind, third!);
  script.finds([]);
});

test('a connection is not given twice what it did not hand back', () => {
  const script = new Script();
  const numbers = script.stored(script.producer(), 2) as [number, number];
  const consumer = script.consumer(1);
  script.deliver(consumer, numbers[0]);
  script.history.acked(consumer, numbers[0], false);
  script.take(consumer, numbers[0]);
  script.take(consumer, numbers[1]);
  script.finds([]);
  script.take(consumer, numbers[1]);
  script.finds(['twice']);
});

test('two consumers of one owner do not hold the same message', () => {
  const script = new Script();
  const numbers = script.stored(script.producer(), 2) as [number, number];
  const one = script.consumer(1);
  script.deliver(one, numbers[0]);
  const other = script.consumer(1);
  script.take(other, numbers[0]);
  script.done(one, numbers[0]);
  script.take(one, numbers[1]); // still served: no other owner came between
  script.finds(['twice']);
});

test('a new owner delivers again what consumers of the old one still hold', () => {
  const script = new Script();
  const numbers = script.stored(script.producer(), 2) as [number, number];
  const one = script.consumer(1);
  script.deliver(one, numbers[0]);
  const other = script.consumer(1);
  script.take(other, numbers[0]);
  script.done(one, numbers[0]);
  script.history.close(one);
  script.take(other, numbers[1]);
  script.finds([]);
});

test('who was deposed does not go on delivering what the new owner has delivered', () => {
  const script = new Script();
  const numbers = script.stored(script.producer(), 4) as [number, number, number, number];
  const old = script.consumer(1);
  script.deliver(old, numbers[0]);
  const fresh = script.consumer(2);
  script.take(fresh, numbers[0], numbers[1]);
  script.done(old, numbers[0]);
  script.take(old, numbers[1]); // from the one that was stopped, and goes on
  script.take(fresh, numbers[2], numbers[3]);
  script.finds(['twice']);
});

test('messages of one connection come in order', () => {
  const script = new Script();
  const numbers = script.stored(script.producer(), 2) as [number, number];
  const consumer = script.consumer(1);
  script.take(consumer, numbers[1]);
  script.take(consumer, numbers[0]);
  script.finds(['order']);
  script.finds([], { isOrdered: (bucket) => bucket !== 7 });
});

test('what was acked before another was begun comes before it, whoever published', () => {
  const script = new Script();
  const [first] = script.stored(script.producer('one'));
  const [second] = script.stored(script.producer('another'));
  const consumer = script.consumer(1);
  script.take(consumer, second!);
  script.take(consumer, first!);
  script.finds(['order']);
});

test('overlapping publishes have no order, nor have deliveries under way together', () => {
  const script = new Script();
  const one = script.producer('one');
  const another = script.producer('another');
  const [first] = script.publish(one);
  const [second] = script.publish(another);
  const numbers = script.stored(one, 2) as [number, number];
  const consumer = script.consumer(1);
  const beside = script.consumer(1);
  script.take(consumer, second!);
  script.take(consumer, first!);
  script.take(consumer, numbers[1]);
  script.take(beside, numbers[0]); // may have been sent off before
  script.finds([]);
});

test('what a broken connection was given and never read may come late, a batch at most', () => {
  for (const [late, wrong] of [
    [2, []],
    [3, ['order']],
  ] as [number, Wrong[]][]) {
    const script = new Script();
    const numbers = script.stored(script.producer(), late + 1);
    const broken = script.consumer(2);
    const consumer = script.consumer(1);
    script.take(consumer, numbers.at(-1)!);
    script.history.close(broken);
    for (const number of numbers.slice(0, -1)) script.take(consumer, number);
    script.finds(wrong);
  }
});

test('nothing comes before its time', () => {
  const script = new Script();
  const [first, second] = script.stored(script.producer(), 2) as [number, number];
  const consumer = script.consumer(1);
  script.ms += 999;
  script.take(consumer, first);
  script.ms += 1;
  script.take(consumer, second);
  script.finds(['early'], { delayMs: () => 1000 });
});

test('what is published again may be there twice, unless the bucket knows it again', () => {
  const script = new Script();
  const producer = script.producer();
  const number = script.history.next(7);
  for (let i = 0; i < 2; i++) {
    script.history.publish(producer, number);
    script.history.answered(producer, number, true);
  }
  const consumer = script.consumer(1);
  script.take(consumer, number);
  script.take(consumer, number);
  script.finds([]);
  script.finds(['twice'], { isOnceOnly: () => true });
});

test('a history says what is owed, and when that changes', async () => {
  const script = new Script();
  const [first] = script.stored(script.producer());
  const isPaid = script.history.until(() => script.history.owed.size === 0);
  assert.deepEqual([...script.history.owed], [first]);
  script.take(script.consumer(), first!);
  await isPaid;
  assert.match(script.history.explain(first!), /publish producer#0 at a\n.*stored/);
});
