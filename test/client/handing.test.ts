// What readers of a consumer are handed, against what was published and delivered: drawn arrivals,
// batch sizes, numbers of handlers, decisions, lost connections and ways of leaving.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import fc from 'fast-check';
import {
  type Consumer,
  createConsumer,
  type Message,
  ThrustError,
} from '../../src/client/index.ts';
import { Delivery } from '../../src/client/message.ts';
import { DeliveryDecoder, encodeDelivery } from '../../src/codec/wire.ts';
import { type FakeConsumerLink, FakeExhaust } from './fake-broker.ts';

const seed = Number(process.env.THRUSTMQ_TEST_SEED ?? Date.now() % 2_147_483_647);
console.log(`handing.test seed ${seed} (THRUSTMQ_TEST_SEED=${seed} repeats it)`);

const READERS = ['run', 'messages', 'auto', 'batches', 'many next'] as const;
const WAYS = ['close', 'signal of run', 'signal', 'return', 'break'] as const;
const ENDS = [
  'resolve',
  'throw',
  'reject',
  'ack',
  'fail',
  'retry',
  'give back',
  'ack and throw',
] as const;

type Step =
  | { kind: 'publish'; sizes: number[] }
  | { kind: 'wait'; turns: number }
  | { kind: 'lose' }
  | { kind: 'leave'; way: (typeof WAYS)[number] };

interface Plan {
  reader: (typeof READERS)[number];
  concurrency: number;
  batchSize: number;
  handlers: { turns: number; end: (typeof ENDS)[number] }[];
  steps: Step[];
}

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('publish' as const),
      sizes: fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 12 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      turns: fc.integer({ max: 6, min: 1 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'lose' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('leave' as const), way: fc.constantFrom(...WAYS) }),
  },
);

const plan: fc.Arbitrary<Plan> = fc.record({
  reader: fc.constantFrom(...READERS),
  concurrency: fc.integer({ min: 1, max: 12 }),
  batchSize: fc.integer({ min: 1, max: 10 }),
  handlers: fc.array(
    fc.record({ turns: fc.integer({ min: 0, max: 5 }), end: fc.constantFrom(...ENDS) }),
    { minLength: 1, maxLength: 8 },
  ),
  steps: fc.array(step, { minLength: 1, maxLength: 14 }),
});

/** One bucket as a broker keeps it: what failed or was lost comes again at its old place. */
class Bucket {
  readonly exhaust = new FakeExhaust();
  readonly published: string[] = [];
  readonly deliveries: number[] = [];
  readonly acked = new Set<number>();
  #ready: number[] = [];
  #links: { link: FakeConsumerLink; busy: boolean }[] = [];
  #told: () => void = () => {};

  async start(): Promise<void> {
    await this.exhaust.start();
    void this.#accept();
  }

  publish(sizes: readonly number[]): void {
    for (const size of sizes) {
      this.#ready.push(this.published.length);
      this.published.push(`${this.published.length} `.padEnd(size, 'ä'));
      this.deliveries.push(0);
    }
    for (const one of this.#links) this.#deliver(one);
  }

  lose(): void {
    for (const { link } of this.#links) link.socket.destroy();
  }

  /** Resolves when everything was acked. */
  async emptied(): Promise<void> {
    while (this.acked.size < this.published.length)
      await new Promise<void>((resolve) => {
        this.#told = resolve;
      });
  }

  async #accept(): Promise<void> {
    for (;;) {
      const one = { link: await this.exhaust.links.next(), busy: false };
      this.#links.push(one);
      void one.link.closed.then(() => {
        this.#links = this.#links.filter((other) => other !== one);
      });
      this.#deliver(one);
    }
  }

  #deliver(one: { link: FakeConsumerLink; busy: boolean }): void {
    if (one.busy || this.#ready.length === 0) return;
    const numbers = this.#ready.splice(0, one.link.header.batchSize);
    for (const number of numbers) this.deliveries[number] += 1;
    one.busy = true;
    one.link.deliver(...numbers.map((number) => this.published[number]));
    void this.#await(one, numbers);
  }

  async #await(one: { link: FakeConsumerLink; busy: boolean }, numbers: number[]): Promise<void> {
    const left = [...numbers];
    const lost = one.link.closed.then(() => undefined);
    while (left.length > 0) {
      const ack = await Promise.race([one.link.acks(1), lost]);
      if (ack === undefined) break;
      if (ack[0] === 1) this.acked.add(left.shift()!);
      else this.#return([left.shift()!]);
    }
    this.#return(left);
    one.busy = false;
    this.#told();
    for (const other of this.#links) this.#deliver(other);
  }

  #return(numbers: readonly number[]): void {
    this.#ready = [...this.#ready, ...numbers].sort((a, b) => a - b);
  }
}

/** Reads as a plan says and holds what it is handed against the bucket. */
class Reader {
  readonly done: Promise<unknown>;
  readonly #bucket: Bucket;
  readonly #plan: Plan;
  readonly #consumer: Consumer;
  readonly #own = new AbortController();
  readonly #polite = new AbortController();
  readonly #handed: number[] = [];
  readonly #finished = new Set<number>();
  readonly #wrong: string[] = [];
  #iterator: AsyncGenerator<Message | Message[], void, undefined> | undefined;
  #calls = 0;
  #left = false;
  #breaking = false;
  #leaving: Promise<unknown> = Promise.resolve();

  constructor(bucket: Bucket, drawn: Plan) {
    this.#bucket = bucket;
    this.#plan = drawn;
    this.#consumer = createConsumer({
      port: bucket.exhaust.port,
      bucket: 7,
      batchSize: drawn.batchSize,
      ack: drawn.reader === 'auto' ? 'auto' : 'manual',
      reconnect: { min: 0, max: 0 },
      idleTimeoutMs: 0,
      signal: this.#own.signal,
    });
    this.done = this.#read();
  }

  ready(): Promise<void> {
    return this.#consumer.ready();
  }

  /** From here on every message is taken well, so that the bucket can become empty. */
  obey(): void {
    this.#plan.handlers.splice(0, Infinity, { turns: 0, end: 'resolve' });
  }

  leave(way: (typeof WAYS)[number]): void {
    this.#left = true;
    if (way === 'signal') this.#own.abort();
    else if (way === 'signal of run' && this.#plan.reader === 'run') this.#polite.abort();
    else if (way === 'return' && this.#iterator !== undefined)
      this.#leaving = this.#iterator.return();
    else if (way === 'break' && this.#iterator !== undefined && this.#plan.reader !== 'many next')
      this.#breaking = true; // with the next message, which may never come
    else this.#leaving = this.#consumer.close();
  }

  /** Closes, waits until nobody reads any more, and checks the account. */
  async end(): Promise<void> {
    await this.#leaving;
    await this.#consumer.close();
    const ended = await this.done;
    const { deliveries, acked } = this.#bucket;
    const calls = this.#handed.length;
    for (let turn = 0; turn < 3; turn++) await tick();
    assert.equal(this.#handed.length, calls, 'handed out after the end');
    assert.deepEqual(this.#wrong, []);
    const aborted = ended instanceof ThrustError && ended.code === 'ABORTED';
    assert.ok(ended === undefined || (aborted && this.#own.signal.aborted), String(ended));
    for (const [number, count] of deliveries.entries()) {
      const handed = this.#handed.filter((one) => one === number).length;
      assert.ok(
        handed <= count,
        `message ${number}: delivered ${count}, handed out ${handed} times`,
      );
    }
    for (const number of acked)
      assert.ok(this.#finished.has(number), `message ${number} was acked by nobody`);
  }

  async #read(): Promise<unknown> {
    const { reader, concurrency } = this.#plan;
    try {
      if (reader === 'run') {
        const { signal } = this.#polite;
        await this.#consumer.run((message) => this.#handle(message), {
          concurrency,
          signal,
          onError: () => {},
        });
      } else if (reader === 'many next') await this.#readMany();
      else await this.#loop();
      return undefined;
    } catch (error) {
      return error;
    }
  }

  async #loop(): Promise<void> {
    const { reader } = this.#plan;
    this.#iterator =
      reader === 'batches' ? this.#consumer.batches() : this.#consumer[Symbol.asyncIterator]();
    for await (const taken of this.#iterator) {
      for (const message of [taken].flat())
        await this.#handle(message).then(
          () => reader === 'auto' || message.ack(),
          () => message.fail(),
        );
      if (this.#breaking) break;
    }
  }

  async #readMany(): Promise<void> {
    const items = this.#consumer[Symbol.asyncIterator]();
    this.#iterator = items;
    const work = async () => {
      for (let item = await items.next(); item.done !== true; item = await items.next()) {
        const message = item.value;
        await this.#handle(message).then(
          () => message.ack(),
          () => message.fail(),
        );
      }
    };
    await Promise.all(Array.from({ length: this.#plan.concurrency }, work));
  }

  async #handle(message: Message): Promise<void> {
    const { handlers } = this.#plan;
    const { turns, end } = handlers[this.#calls++ % handlers.length];
    const number = Number.parseInt(message.text(), 10);
    const text = this.#bucket.published[number];
    if (text === undefined || message.text() !== text || message.size !== Buffer.byteLength(text))
      this.#wrong.push(`${message.size} bytes that nobody published: ${message.text()}`);
    this.#handed.push(number);
    for (let turn = 0; turn < turns; turn++) await tick();
    if (end === 'fail') message.fail();
    else if (end === 'retry') message.retry(5, { charge: false });
    else if (end === 'give back') message.release();
    else if (end !== 'throw' && end !== 'reject') this.#finished.add(number);
    if (end === 'ack' || end === 'ack and throw') message.ack();
    if (end === 'reject') return Promise.reject(new Error('no'));
    if (end === 'throw' || end === 'ack and throw') throw new Error('no');
  }

  get left(): boolean {
    return this.#left;
  }
}

async function play(drawn: Plan): Promise<void> {
  const bucket = new Bucket();
  await bucket.start();
  const reader = new Reader(bucket, drawn);
  try {
    await reader.ready();
    for (const one of drawn.steps) {
      if (one.kind === 'publish') bucket.publish(one.sizes);
      else if (one.kind === 'lose') bucket.lose();
      else if (one.kind === 'leave') reader.leave(one.way);
      else for (let turn = 0; turn < one.turns; turn++) await tick();
      if (reader.left) break;
    }
    if (!reader.left) {
      reader.obey();
      await Promise.race([bucket.emptied(), reader.done]);
      assert.equal(bucket.acked.size, bucket.published.length, 'reading ended by itself');
    }
    await reader.end();
  } finally {
    await bucket.exhaust.stop();
  }
}

describe('what was published is what readers are handed', { timeout: 120_000 }, () => {
  test('once for each delivery, with its bytes, nothing else and nothing less', async () => {
    await fc.assert(
      fc.asyncProperty(plan, (drawn) => play(structuredClone(drawn))),
      { seed, numRuns: 400 },
    );
  });

  test('more idle handlers than messages: each message goes to one of them', async () => {
    for (const sizes of [[1], [5, 5, 5], [9, 9, 9, 9, 9, 9, 9, 9]])
      await play({
        reader: 'run',
        concurrency: 10,
        batchSize: 10,
        handlers: [{ turns: 3, end: 'resolve' }],
        steps: [
          { kind: 'wait', turns: 3 },
          { kind: 'publish', sizes },
        ],
      });
  });

  test('a delivery gives out what it holds, and nothing once its connection is gone', () => {
    const [frame] = new DeliveryDecoder('u64').push(
      encodeDelivery([Buffer.from('a'), Buffer.from('b'), Buffer.from('c')], 'u64'),
    );
    const hooks = { decided: () => {}, working: () => {} };
    const whole = new Delivery(frame, 7n, hooks);
    const taken = Array.from({ length: 5 }, () => whole.take()?.text());
    assert.deepEqual(taken, ['a', 'b', 'c', undefined, undefined]);
    const cut = new Delivery(frame, 7n, hooks);
    assert.equal(cut.take()?.text(), 'a');
    cut.end(new ThrustError('CONNECTION', 'lost'));
    assert.equal(cut.take(), undefined);
  });
});
