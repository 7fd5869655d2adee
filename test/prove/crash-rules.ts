// The workload of what rules do: messages that fail and wait, die into a line of their own or
// another bucket and are given back, have copies, are delayed, expire, are published again; and
// rules that are set, and a bucket that is paused and resumed meanwhile. It writes every kind of
// record that a broker writes of these. Wherever the power goes, each message is in one place, with
// its copies, and waits as long as it has to; rules and pauses that were answered are in force.

import assert from 'node:assert/strict';
import {
  RECORD_DEFERRED,
  RECORD_HEADER_BYTES,
  RECORD_IDS,
  RECORD_PLACED,
} from '../../assembly/layout.ts';
import {
  KIND_DEAD,
  KIND_SETTINGS,
  REASON_DELIVERIES,
  REASON_EXPIRED,
  REASON_REDRIVEN,
  REASON_REJECTED,
} from '../../assembly/layout-placed.ts';
import { Redrive } from '../../src/core/admin/redrive.ts';
import { ORIGIN } from '../../src/core/delivery/destination.ts';
import { kindOf, readHead, settlesFrom } from '../../src/core/records/placed.ts';
import { OFFSET, TYPE } from '../../src/core/records/rows.ts';
import { ruleOfWords } from '../../src/core/rules/rule.ts';
import { settingText } from '../../src/core/segments/settings.ts';
import { recover, takeInventory } from '../../src/log/recovery/recovery.ts';
import {
  bodiesOf,
  Collector,
  codec,
  type FakeLink,
  recoverFrom,
  TIME_MS,
  World,
} from '../log/harness.ts';
import { loseAll, MemoryFiles } from '../support/memory-files.ts';
import { Random } from '../support/random.ts';
import { Moments, type Workload } from './moments.ts';

const RULES = [
  '1 max_deliveries=2 retry=1s',
  '2 max_deliveries=1 dead_letter=3',
  '4 copy_to=5',
  '5 delay=1h',
  '6 ttl=5s',
  '7 dedup=1h',
];
/** Where a message may stand that was published to a bucket: in one of these, and in its copies. */
const PLACES: Record<number, readonly string[]> = {
  1: ['1', '1/1'],
  2: ['2', '3'],
  4: ['4+5'],
  5: ['5'],
  6: ['6', '6/1'],
  7: ['7'],
};
const BUCKETS = Object.keys(PLACES).map(Number);
const ONCE = 7;
/** Nobody consumes it. */
const PAUSED = 5;
/** Of both clocks, between batches: so that retries come back, and messages expire. */
const STEP_MS = 2000;
const LIMITS = { limits: { framesMax: 0 } };
/** Which batch begins with what. */
const SETS = [1, 3, 4];
const PAUSES = [1, 2, 4, 5, 7];
const REDRIVES = [3, 5, 6, 7];

/** What clients know at one step. */
export interface RuledKnown {
  /** Messages that were sent, of all that the workload sends. */
  sent: number;
  acked: ReadonlySet<string>;
  /** Acked by a consumer: they may come back, or not. */
  done: ReadonlySet<string>;
  /** Rules that were asked for, one after the other, and how many of them were answered. */
  asked: number;
  answered: number;
  /** The same of changes of one bucket, which is paused and resumed in turns. */
  pausesAsked: number;
  pausesAnswered: number;
  wallMs: number;
}

interface Sent {
  bucket: number;
  body: string;
}

const bucketOf = (body: string) => Number(body.split('-')[0]);

/** Every kind of record that is written of what rules do. */
export const RECORD_NAMES = [
  'deferred',
  'ids',
  'settings',
  'pauses',
  'out of deliveries',
  'rejected',
  'expired',
  'redriven',
  'copies and delays',
] as const;

const REASONS = new Map<number, (typeof RECORD_NAMES)[number]>([
  [REASON_DELIVERIES, 'out of deliveries'],
  [REASON_REJECTED, 'rejected'],
  [REASON_EXPIRED, 'expired'],
  [REASON_REDRIVEN, 'redriven'],
]);

/** Reads a log, and notes which kinds of records it holds. */
class Kinds extends Collector {
  readonly names = new Set<(typeof RECORD_NAMES)[number]>();

  override record(rows: Uint32Array, at: number, chunk: number, bytes: Uint8Array): void {
    super.record(rows, at, chunk, bytes);
    const type = rows[at + TYPE];
    if (type === RECORD_DEFERRED) this.names.add('deferred');
    if (type === RECORD_IDS) this.names.add('ids');
    if (type !== RECORD_PLACED) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const { reason } = readHead(view, rows[at + OFFSET]! + RECORD_HEADER_BYTES);
    if (kindOf(rows, at) === KIND_SETTINGS)
      this.names.add(settingIn(rows, at, view).startsWith('paused ') ? 'pauses' : 'settings');
    else if (settlesFrom(rows, at)) this.names.add(REASONS.get(reason)!);
    else this.names.add('copies and delays');
  }
}

function settingIn(rows: Uint32Array, at: number, view: DataView): string {
  return settingText(view, rows[at + OFFSET]! + RECORD_HEADER_BYTES);
}

/** A broker that rules do much in, and what its clients saw. */
class Clients {
  readonly clock = { wallMs: TIME_MS };
  readonly sent: Sent[] = [];
  readonly acked = new Set<string>();
  readonly done = new Set<string>();
  asked = 0;
  answered = 0;
  pausesAsked = 0;
  pausesAnswered = 0;
  readonly world: World;
  readonly #random: Random;
  readonly #waiting: { bodies: string[]; link: FakeLink }[] = [];
  readonly #consumers: ReturnType<World['consume']>[];
  #redriving: (() => void)[] = [];
  // By consumer: fail, reject, fail, ack, so that each has what it is to die of.
  readonly #answers = [0, 0];

  private constructor(world: World, random: Random, clock: { wallMs: number }) {
    this.world = world;
    this.#random = random;
    this.clock = clock;
    this.#consumers = [world.consume(1, 3), world.consume(2, 2)];
  }

  static async open(files: MemoryFiles, random: Random): Promise<Clients> {
    const clock = { wallMs: TIME_MS };
    const world = await World.open(files, { rules: RULES, clock });
    await world.settle();
    return new Clients(world, random, clock);
  }

  publish(batch: number): void {
    const random = this.#random;
    const messages = Array.from({ length: 3 + random.below(5) }, (_, i) => {
      const bucket = i % 2 === 0 ? 1 + random.below(2) : BUCKETS[random.below(BUCKETS.length)]!;
      return { bucket, body: `${bucket}-${batch}-${i}-`.padEnd(10 + random.below(2000), '.') };
    });
    this.sent.push(...messages);
    this.#waiting.push({
      bodies: messages.map(({ body }) => body),
      link: this.world.publish(messages),
    });
  }

  setRule(): void {
    const rule = ruleOfWords('set', '8', [`batch=${++this.asked}`]);
    this.world.broker.rulesInForce!.changes.ask(
      { name: 'set', rule, expected: undefined },
      (to) => {
        assert.ok(to.ok, JSON.stringify(to));
        this.answered++;
      },
    );
  }

  pause(): void {
    const wanted = isPausedAfter(++this.pausesAsked);
    this.world.broker.pauses.ask(`${PAUSED}`, wanted, (outcome) => {
      assert.ok(outcome.ok, JSON.stringify(outcome));
      this.pausesAnswered++;
    });
  }

  redrive(): void {
    const { broker } = this.world;
    const slot = broker.buckets.open(1, 0, KIND_DEAD);
    new Redrive({
      broker,
      slot,
      startedAt: 'now',
      to: ORIGIN,
      limit: 2,
      rate: Number.POSITIVE_INFINITY,
      soon: (call) => void this.#redriving.push(call),
      after: () => {},
      done: () => {},
    });
  }

  turn(): void {
    for (const call of this.#redriving.splice(0)) call();
    this.world.turn();
  }

  listen(): void {
    for (const { bodies, link } of this.#waiting)
      for (const ack of link.received.splice(0)) {
        assert.equal(ack, 1, 'a publish was refused');
        this.acked.add(bodies.shift()!);
      }
    for (const [i, { link, consumer }] of this.#consumers.entries()) {
      const bodies = bodiesOf(link).filter((body) => body !== '');
      link.received = [];
      if (bodies.length === 0) continue;
      const bytes = bodies.map(() => [0, 2, 0, 0, 1][this.#answers[i]!++ % 5]!);
      bodies.forEach((body, at) => void (bytes[at] === 1 && this.done.add(body)));
      consumer.receive(Uint8Array.from(bytes));
    }
  }

  get print(): string {
    const { sent, acked, done, asked, answered } = this;
    const pauses = `${this.pausesAsked},${this.pausesAnswered}`;
    return `${sent.length},${acked.size},${done.size},${asked},${answered},${pauses}`;
  }

  get known(): RuledKnown {
    const { sent, acked, done, asked, answered, pausesAsked, pausesAnswered, clock } = this;
    const sets = { acked: new Set(acked), done: new Set(done) };
    const changes = { asked, answered, pausesAsked, pausesAnswered };
    return { sent: sent.length, ...sets, ...changes, wallMs: clock.wallMs };
  }
}

export async function ruledWorkload(
  seed: number,
  batches: number,
  stepsMax: number,
): Promise<Workload<RuledKnown> & { records: Kinds['names'] }> {
  const random = new Random(seed);
  const files = new MemoryFiles();
  const clients = await Clients.open(files, random);
  const { world, clock, sent } = clients;
  files.auto = false;
  const moments = new Moments<RuledKnown>(files);
  for (let batch = 0; batch < batches; batch++) {
    clients.publish(batch);
    if (SETS.includes(batch)) clients.setRule();
    if (PAUSES.includes(batch)) clients.pause();
    if (REDRIVES.includes(batch)) clients.redrive();
    for (let steps = stepsMax / 2 + random.below(stepsMax / 2); steps > 0; steps--) {
      clients.turn();
      await new Promise((resolve) => setImmediate(resolve));
      if (files.pending.length > 0) files.step(random.below(files.pending.length));
      await new Promise((resolve) => setImmediate(resolve));
      clients.listen();
      assert.equal(world.failure, undefined);
      moments.note(clients.print, () => clients.known);
    }
    clock.wallMs += STEP_MS;
    world.broker.advance((batch + 1) * STEP_MS);
  }
  const kinds = new Kinds();
  const left = files.kill();
  await recover(left, codec, await takeInventory(left), kinds, () => {});
  const of = (found: MemoryFiles, known: RuledKnown) => judge(found, known, sent);
  return { moments: moments.all, judge: of, records: kinds.names };
}

/** Where the messages of a log are that are not settled, by body; what stands for rules is none. */
function placesOf(got: Collector): Map<string, string> {
  const places = new Map<string, string[]>();
  for (const [sequence, text] of [...got.messages].sort(([a], [b]) => a - b)) {
    if (got.settled.has(sequence)) continue;
    const at = text.indexOf(':');
    if (text.slice(0, at).endsWith('/2')) continue;
    const body = text.slice(at + 1);
    places.set(body, [...(places.get(body) ?? []), text.slice(0, at)]);
  }
  return new Map([...places].map(([body, each]) => [body, each.join('+')]));
}

function checkPlaces(
  places: ReadonlyMap<string, string>,
  sent: readonly Sent[],
  mustBe: (body: string) => boolean,
): void {
  const bodies = new Set(sent.map(({ body }) => body));
  for (const [body, place] of places) {
    const short = body.replace(/\.+$/, '');
    assert.ok(bodies.has(body), `${short} is there, but was never sent`);
    assert.ok(PLACES[bucketOf(body)]!.includes(place), `${short} is in ${place}`);
  }
  for (const body of bodies)
    if (mustBe(body)) assert.ok(places.has(body), `lost: ${body.replace(/\.+$/, '')}`);
}

/** Number of the rule in force that was set last; 0: none is. */
function ruleSet({ broker }: World): number {
  const known = broker.rulesInForce!.set.find('set');
  return known === undefined ? 0 : Number(/batch=(\d+)/.exec(known.rule.text)![1]);
}

const isPausedAfter = (changes: number) => changes % 2 === 1;

/** Whether the bucket is paused; where all changes were answered, it is as the last one left it. */
function isPaused({ broker }: World, { pausesAsked, pausesAnswered }: RuledKnown): boolean {
  const is = broker.paused.has(`${PAUSED}`);
  const isOpen = pausesAnswered < pausesAsked;
  assert.ok(
    isOpen || is === isPausedAfter(pausesAsked),
    `paused: ${is} after ${pausesAnswered} to ${pausesAsked} changes`,
  );
  return is;
}

/** A broker starts, lets more messages die and loses power: each is where it belongs both times. */
async function judge(files: MemoryFiles, known: RuledKnown, all: readonly Sent[]): Promise<void> {
  const sent = all.slice(0, known.sent);
  const isOwed = (body: string) => known.acked.has(body) && !known.done.has(body);
  const { got } = await recoverFrom(files.clone());
  const before = placesOf(got);
  checkPlaces(before, sent, isOwed);

  const options = { ...LIMITS, rules: RULES, clock: { wallMs: known.wallMs } };
  const world = await World.open(files, options);
  const rule = ruleSet(world);
  assert.ok(known.answered <= rule && rule <= known.asked, `rule ${rule} of ${known.answered}`);
  const paused = isPaused(world, known);
  const again = sent.filter(({ bucket }) => bucket === ONCE);
  const more = BUCKETS.map((bucket) => ({ bucket, body: `${bucket}-after the crash` }));
  const link = world.publish([...again, ...more]);
  await world.settle();
  const { received } = link;
  assert.ok(received.length === again.length + more.length, `no acks: ${world.notes.join('; ')}`);
  assert.ok(received.every((byte) => byte === 1));
  await world.advance(STEP_MS);
  const died = await reject(world, 1);
  const waits = new Set<string>();
  for (const [sequence, [, , dueMs]] of got.deferred)
    if (dueMs > known.wallMs) waits.add(got.messages.get(sequence)!);
  const ready = [...before].filter(([body, at]) => at === '1' && !waits.has(`1:${body}`));
  const expected = [...ready.map(([body]) => body), '1-after the crash'];
  assert.deepEqual(died.sort(), expected.sort(), 'not all that does not wait, or more than that');
  assert.equal(world.failure, undefined);

  const after = files.crash(loseAll);
  const places = placesOf((await recoverFrom(after.clone())).got);
  const mustBe = (body: string) => isOwed(body) || !all.some((each) => each.body === body);
  checkPlaces(places, [...sent, ...more], (body) => mustBe(body) || bucketOf(body) === ONCE);
  for (const [body, place] of before)
    if (bucketOf(body) !== 1 && bucketOf(body) !== 6) assert.equal(places.get(body), place);
  for (const body of died) assert.equal(places.get(body), '1/1', 'it did not die');
  const last = await World.open(after, options);
  assert.equal(ruleSet(last), rule, 'another rule than before');
  assert.equal(isPaused(last, known), paused, 'another pause than before');
}

/** Rejects everything that a bucket has ready. */
async function reject(world: World, bucket: number): Promise<string[]> {
  const { link, consumer } = world.consume(bucket, 100);
  const all: string[] = [];
  for (;;) {
    await world.settle();
    const bodies = bodiesOf(link);
    link.received = [];
    if (bodies.length === 0) return all;
    all.push(...bodies);
    consumer.receive(new Uint8Array(bodies.length).fill(2));
  }
}
