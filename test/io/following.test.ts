// Message events for people: only where somebody listens, neighbours joined, out when the turn is
// over and in order; trace lines of one bucket, and how many were left out.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, mock, test } from 'node:test';
import type { MessageEvent } from '../../src/contract/message-events.ts';
import type { Holder, Run } from '../../src/core/ports/observer.ts';
import { MessageChannels } from '../../src/io/following.ts';
import type { Logger, LogLevel } from '../../src/io/logger.ts';

type Line = { level: string; event: string; text: string } & Partial<MessageEvent>;

const ENDS: (() => void)[] = [];
afterEach(() => {
  mock.timers.reset();
  for (const end of ENDS.splice(0)) end();
});

/** The channels, with their log and how often they asked for the time: once for each event made. */
class Desk {
  readonly lines: Line[] = [];
  readonly heard: [channel: string, event: MessageEvent][] = [];
  readonly channels: MessageChannels;
  made = 0;

  constructor(level: LogLevel = 'info', traceBucket?: string) {
    const write = (name: string) => (fields: object, text: string) =>
      void this.lines.push({ level: name, text, ...fields } as Line);
    const log: Logger = {
      trace: write('trace'),
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      fatal: write('fatal'),
    };
    const wallMs = () => {
      this.made++;
      return 1000 + this.made;
    };
    this.channels = new MessageChannels({ log, level, traceBucket, wallMs });
    ENDS.push(() => this.channels.close());
  }

  /** Listens on a channel from now on. */
  hear(name: string): void {
    const take = (event: unknown) => void this.heard.push([name, event as MessageEvent]);
    subscribe(`thrustmq:${name}`, take);
    ENDS.push(() => unsubscribe(`thrustmq:${name}`, take));
  }

  get ranges(): string[] {
    return this.heard.map(([name, { bucket, sequence, count, bytes, position }]) =>
      [name, bucket, `${sequence}+${count}`, `${bytes}@${position}`].join(' '),
    );
  }
}

const turnOver = () => new Promise<void>((resolve) => setImmediate(resolve));
const run = (sequence: number, change: Partial<Run> = {}): Run => ({
  bucketLow: 7,
  bucketHigh: 0,
  sequence,
  count: 1,
  position: sequence * 100,
  bytes: 10,
  attempts: 0,
  ...change,
});
const holder = (id: number): Holder => ({
  consumerId: '777',
  closedFor: 'timeout',
  link: { id, peer: `host:${id}` },
});

test('nobody listens: inactive, and nothing is made for the channels without a subscriber', async () => {
  const desk = new Desk();
  const { channels } = desk;
  assert.equal(channels.active, false);
  desk.hear('settled');
  assert.equal(channels.active, true);
  for (let i = 1; i <= 100; i += 2) {
    channels.sealed(run(i));
    channels.durable(run(i));
    channels.delivered(run(i), holder(1));
    channels.requeued(run(i), 'failed', holder(1));
  }
  assert.equal(desk.made, 0);
  channels.settled(run(1), 'done', holder(1));
  assert.equal(desk.made, 1);
  await turnOver();
  assert.equal(desk.heard.length, 1);
  ENDS.pop()!();
  assert.equal(channels.active, false);
});

for (const name of ['sealed', 'durable', 'delivered', 'settled', 'requeued'])
  test(`a subscriber of ${name} alone makes it active`, () => {
    const desk = new Desk();
    desk.hear(name);
    assert.equal(desk.channels.active, true);
  });

test('each event says what it is about; who and why where there is one', async () => {
  const desk = new Desk();
  for (const name of ['sealed', 'durable', 'delivered', 'settled', 'requeued']) desk.hear(name);
  const { channels } = desk;
  const far = { bucketLow: 1, bucketHigh: 2 ** 31 };
  channels.sealed(run(5, far));
  channels.durable(run(5, far));
  channels.delivered(run(5), holder(3));
  channels.settled(run(5), 'done', holder(3));
  channels.settled(run(6), 'purged', undefined);
  channels.requeued(run(7, { attempts: 1 }), 'failed', holder(3));
  channels.requeued(run(8, { attempts: 2 }), 'lost', holder(4));
  assert.deepEqual(desk.heard, [], 'the turn is not over');
  await turnOver();
  const bucket = '9223372036854775809';
  const rest = { sequence: 5, count: 1, position: 500, bytes: 10, attempts: 0 };
  const mine = { ...rest, bucket: '7' };
  const consumer = { id: '777', peer: 'host:3', connection: 3 };
  assert.deepEqual(desk.heard, [
    ['sealed', { timeMs: 1001, bucket, ...rest }],
    ['durable', { timeMs: 1002, bucket, ...rest }],
    ['delivered', { timeMs: 1003, ...mine, consumer }],
    ['settled', { timeMs: 1004, ...mine, consumer, cause: 'done' }],
    ['settled', { timeMs: 1005, ...mine, sequence: 6, position: 600, cause: 'purged' }],
    [
      'requeued',
      {
        timeMs: 1006,
        ...mine,
        sequence: 7,
        position: 700,
        attempts: 1,
        consumer,
        cause: 'failed',
      },
    ],
    [
      'requeued',
      {
        timeMs: 1007,
        ...mine,
        sequence: 8,
        position: 800,
        attempts: 2,
        consumer: { id: '777', peer: 'host:4', connection: 4 },
        cause: 'lost',
        closed: 'timeout',
      },
    ],
  ]);
});

test('neighbours of one turn are joined, and nothing else', async () => {
  const desk = new Desk();
  for (const name of ['sealed', 'settled', 'requeued']) desk.hear(name);
  const { channels } = desk;
  channels.sealed(run(1, { count: 3 }));
  channels.sealed(run(4, { count: 2 })); // the next record
  channels.sealed(run(7)); // a gap
  channels.sealed(run(8, { bucketLow: 8 })); // another bucket
  channels.settled(run(1, { position: 100 }), 'done', holder(1));
  channels.settled(run(2, { position: 100 }), 'done', holder(1)); // the same record
  channels.settled(run(3, { position: 100 }), 'done', holder(2)); // another consumer
  channels.settled(run(4), 'purged', undefined);
  channels.settled(run(5, { attempts: 1 }), 'purged', undefined); // another attempt
  channels.requeued(run(6, { attempts: 1 }), 'failed', holder(2)); // another event
  channels.requeued(run(7, { attempts: 1 }), 'lost', holder(2)); // another cause
  await turnOver();
  channels.requeued(run(8, { attempts: 1 }), 'lost', holder(2)); // another turn
  await turnOver();
  assert.deepEqual(desk.ranges, [
    'sealed 7 1+5 20@100',
    'sealed 7 7+1 10@700',
    'sealed 8 8+1 10@800',
    'settled 7 1+2 10@100',
    'settled 7 3+1 10@100',
    'settled 7 4+1 10@400',
    'settled 7 5+1 10@500',
    'requeued 7 6+1 10@600',
    'requeued 7 7+1 10@700',
    'requeued 7 8+1 10@800',
  ]);
});

test('a long turn keeps a bounded number back, all in order', async () => {
  const desk = new Desk();
  desk.hear('sealed');
  for (let i = 1; i <= 5001; i += 2) desk.channels.sealed(run(i));
  assert.ok(desk.heard.length >= 1500, `${desk.heard.length} came out`);
  await turnOver();
  const sequences = desk.heard.map(([, { sequence }]) => sequence);
  assert.deepEqual(
    sequences,
    Array.from({ length: 2501 }, (_, i) => 2 * i + 1),
  );
});

test('level trace prints the named bucket only, without any subscriber', async () => {
  const id = (5n << 32n) | 7n;
  const desk = new Desk('trace', String(id));
  const { channels } = desk;
  assert.equal(channels.active, true);
  channels.sealed(run(1));
  channels.sealed(run(2, { bucketHigh: 5, bucketLow: 8 }));
  assert.equal(desk.made, 0, 'nothing is made for other buckets');
  const mine = { bucketHigh: 5 };
  channels.sealed(run(3, { ...mine, count: 2 }));
  channels.delivered(run(3, mine), holder(1));
  channels.requeued(run(3, { ...mine, attempts: 1 }), 'failed', holder(1));
  channels.delivered(run(3, { ...mine, attempts: 2 }), undefined);
  channels.settled(run(4, mine), 'purged', undefined);
  await turnOver();
  const [first, ...lines] = desk.lines;
  assert.deepEqual([first!.event, first!.level, first!.bucket], ['trace.bucket', 'info', `${id}`]);
  assert.deepEqual(
    lines.map(({ level, event, text }) => [level, event, text]),
    [
      ['trace', 'trace.sealed', `messages 3 to 4 of bucket ${id} sealed`],
      ['trace', 'trace.delivered', `message 3 of bucket ${id} delivered to host:1`],
      [
        'trace',
        'trace.requeued',
        `message 3 of bucket ${id} requeued by host:1 (failed) after 1 attempt`,
      ],
      ['trace', 'trace.delivered', `message 3 of bucket ${id} delivered after 2 attempts`],
      ['trace', 'trace.settled', `message 4 of bucket ${id} settled (purged)`],
    ],
  );
  const { position, bytes, consumer, timeMs } = lines[1]!;
  assert.deepEqual([position, bytes, timeMs], [300, 10, 1002]);
  assert.deepEqual(consumer, { id: '777', peer: 'host:1', connection: 1 });
});

test('a busy bucket gets 20 lines a second of each kind, and the number of those left out', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const desk = new Desk('trace', '7');
  for (let i = 1; i <= 101; i += 2) desk.channels.sealed(run(i));
  desk.channels.durable(run(1));
  await turnOver();
  const kinds = () => desk.lines.slice(1).map(({ event }) => event);
  assert.equal(kinds().filter((kind) => kind === 'trace.sealed').length, 20);
  assert.equal(kinds().at(-1), 'trace.durable');
  mock.timers.tick(1000);
  const last = desk.lines.at(-1) as unknown as { event: string; suppressed: number };
  assert.deepEqual([last.event, last.suppressed], ['trace.sealed', 31]);
  desk.channels.sealed(run(201));
  await turnOver();
  assert.equal(desk.lines.at(-1)!.sequence, 201);
});

test('what is left out at the end is said, too', async () => {
  const desk = new Desk('trace', '7');
  for (let i = 1; i <= 61; i += 2) desk.channels.sealed(run(i));
  desk.channels.close();
  const last = desk.lines.at(-1) as unknown as { suppressed: number };
  assert.equal(last.suppressed, 11);
});

test('level and bucket belong together: one alone says in a line what is missing', () => {
  const bare = new Desk('trace');
  assert.equal(bare.channels.active, false);
  assert.match(
    bare.lines.map(({ text }) => text).join('|'),
    /^no bucket is traced: .*--trace-bucket/,
  );
  const quiet = new Desk('debug', '7');
  assert.equal(quiet.channels.active, false);
  assert.match(
    quiet.lines.map(({ level, text }) => level + text).join('|'),
    /^warnbucket 7 is not traced at --log-level debug: it takes --log-level trace$/,
  );
  assert.deepEqual(new Desk().lines, []);
});
