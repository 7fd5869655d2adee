// Clients of whole brokers in the nodes' simulator. Each connects to whichever node says that it
// owns the log, over a network that takes its time, and again when the connection is lost.

import assert from 'node:assert/strict';
import {
  ACK_DONE,
  ACK_REJECTED,
  ACK_RELEASED,
  ACK_RETRY,
  ACK_RETRY_FREE,
  WIRE_U64,
} from '../../../assembly/layout.ts';
import { DeliveryDecoder, encodeBatch, encodeConsumerHeader } from '../../../src/codec/wire.ts';
import type { Session } from '../../../src/core/connections/session.ts';
import type { Link } from '../../../src/core/ports/link.ts';
import { bodyOf, ONCE, ONE_AT_A_TIME, RETRIED, TARGETS } from './broker-log.ts';
import type { BrokerTruth, Handing } from './broker-truth.ts';
import type { Clock } from './clock.ts';

/** A node as clients see it. */
export interface Host {
  /** Runs what comes in at the process, which may be paused, or gone. */
  enter(what: () => void): void;
  /** The session of a connection; undefined: it was turned away. */
  accept(side: 'intake' | 'exhaust', link: Link): Session | undefined;
  /** As whom it delivers now. */
  readonly handing: Handing;
  /** Asserts that it may deliver. */
  mayDeliver(): void;
  /** Told when the process is gone. */
  onEnd(call: () => void): void;
}

export interface ClientWorld {
  readonly clock: Clock;
  readonly truth: BrokerTruth;
  /** Whether clients do as they should. */
  readonly isTame: boolean;
  /** Any of the nodes that say that they own. */
  owner(): Host | undefined;
}

// It failed, as its rule says or for 512 ms, or is given back, at once or for a second.
const FAILURES = [0, ACK_RETRY + 9, ACK_RELEASED, ACK_RETRY_FREE + 10];

let links = 0;

/** One connection: the broker's end is a Link, the client's is told. */
class Connection implements Link {
  readonly id = ++links;
  readonly peer = `sim:${this.id}`;
  readonly wire = WIRE_U64;
  readonly queuedBytes = 0;
  destroyed = false;
  readonly #clock: Clock;
  readonly #host: Host;
  readonly #client: { heard(bytes: Uint8Array): void; lost(): void };
  readonly #sent: (bytes: Uint8Array) => void;
  #session: Session | undefined;
  #paused = false;
  #waiting: Uint8Array[] = [];
  // Nothing overtakes anything.
  #thereMs = 0;
  #backMs = 0;
  #isLost = false;

  /** `sent`: called as the broker hands bytes out. */
  constructor(
    clock: Clock,
    host: Host,
    side: 'intake' | 'exhaust',
    client: { heard(bytes: Uint8Array): void; lost(): void },
    sent: (bytes: Uint8Array) => void,
  ) {
    this.#clock = clock;
    this.#host = host;
    this.#client = client;
    this.#sent = sent;
    host.onEnd(() => this.#breaks());
    this.#there(() => {
      this.#session = host.accept(side, this);
      if (this.#session === undefined) this.#breaks();
    });
  }

  #there(what: () => void): void {
    this.#thereMs = Math.max(this.#clock.nowMs + this.#clock.between(0.1, 2), this.#thereMs);
    this.#clock.after(this.#thereMs - this.#clock.nowMs, () => this.#host.enter(what));
  }

  #back(what: () => void): void {
    this.#backMs = Math.max(this.#clock.nowMs + this.#clock.between(0.1, 2), this.#backMs);
    this.#clock.after(this.#backMs - this.#clock.nowMs, what);
  }

  /** The client sends. */
  write(bytes: Uint8Array): void {
    this.#there(() => {
      if (this.#paused) this.#waiting.push(bytes);
      else if (!this.destroyed) this.#session?.receive(bytes);
    });
  }

  /** The client goes. */
  close(): void {
    this.#isLost = true;
    this.#there(() => this.destroy());
  }

  #breaks(): void {
    this.destroyed = true;
    this.#back(() => {
      if (!this.#isLost) this.#client.lost();
      this.#isLost = true;
    });
  }

  // --- the broker's end -------------------------------------------------------------------------

  send(bytes: Uint8Array): void {
    if (this.destroyed) return;
    const copy = bytes.slice();
    this.#sent(copy);
    this.#back(() => {
      if (!this.#isLost) this.#client.heard(copy);
    });
  }

  end(): void {
    this.#clock.after(0.1, () => this.#host.enter(() => this.destroy()));
  }

  destroy(): void {
    if (this.destroyed) return;
    this.#breaks();
    this.#clock.after(0.05, () => this.#host.enter(() => this.#session?.gone()));
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    for (const bytes of this.#waiting.splice(0)) if (!this.destroyed) this.#session?.receive(bytes);
  }
}

/** Publishes numbered messages; what has no answer when a connection ends is stored, or not. */
export class ProducerClient {
  readonly #world: ClientWorld;
  readonly #number: number;
  #connection: Connection | undefined;
  #last = 0;
  // Keys of what was sent and not answered yet, in order.
  #owed: string[] = [];
  // What is sent again until it is acked, as it is stored once only.
  #again: string[] = [];

  constructor(world: ClientWorld, number: number) {
    this.#world = world;
    this.#number = number;
  }

  /** Sends a few messages. */
  publish(): void {
    const { clock, truth } = this.#world;
    this.#connection ??= this.#connect();
    if (this.#connection === undefined || this.#owed.length > 60) return;
    const messages = Array.from({ length: 1 + clock.random.below(6) }, () => {
      const isAgain = this.#again.length > 0 && clock.chance(0.5);
      const key = isAgain ? this.#again.shift()! : this.#next();
      if (isAgain) clock.count('published again');
      truth.sent.add(key);
      this.#owed.push(key);
      const [bucket, id] = key.split(':') as [string, string];
      const [producer, number] = id.split('.').map(Number);
      return { bucket: BigInt(bucket), body: bodyOf(producer!, number!) };
    });
    this.#connection.write(encodeBatch(messages, 'u64'));
  }

  #next(): string {
    const bucket = TARGETS[this.#world.clock.random.below(TARGETS.length)]!;
    return `${bucket}:${this.#number}.${++this.#last}`;
  }

  #connect(): Connection | undefined {
    const { clock, truth } = this.#world;
    const host = this.#world.owner();
    if (host === undefined) return undefined;
    const heard = (bytes: Uint8Array) => {
      for (const byte of bytes) {
        const key = this.#owed.shift();
        assert.ok(key !== undefined, 'more is answered than was sent');
        if (byte === 1) {
          truth.ack(key);
          clock.count('acked');
        } else {
          clock.count('refused');
          this.#keep(key);
        }
      }
    };
    const lost = () => {
      this.#connection = undefined;
      for (const key of this.#owed.splice(0)) this.#keep(key);
    };
    return new Connection(clock, host, 'intake', { heard, lost }, () => {});
  }

  #keep(key: string): void {
    if (key.startsWith(`${ONCE}:`)) this.#again.push(key);
  }
}

/** Consumes a bucket; while it may, it fails, is silent, and goes without a word. */
export class ConsumerClient {
  readonly #world: ClientWorld;
  readonly #bucket: number;
  #connection: Connection | undefined;
  #generation = 0;

  constructor(world: ClientWorld, bucket: number) {
    this.#world = world;
    this.#bucket = bucket;
    this.#later(10, 300, () => this.#connect());
  }

  #later(least: number, most: number, what: () => void): void {
    const generation = this.#generation;
    const { clock } = this.#world;
    clock.after(clock.between(least, most), () => {
      if (generation === this.#generation) what();
    });
  }

  #connect(): void {
    const { clock } = this.#world;
    const host = this.#world.owner();
    if (host === undefined) {
      this.#later(50, 300, () => this.#connect());
      return;
    }
    const decoder = new DeliveryDecoder('u64');
    const heard = (bytes: Uint8Array) => {
      for (const frame of decoder.push(bytes)) this.#answer(frame.isHeartbeat ? 0 : frame.count);
    };
    const lost = () => this.#lost();
    const held = new Holding(this.#world.truth, host, this.#bucket);
    this.#connection = new Connection(
      clock,
      {
        enter: (what) => host.enter(what),
        accept: (side, link) => held.accept(side, link),
        get handing() {
          return host.handing;
        },
        mayDeliver: () => host.mayDeliver(),
        onEnd: (call) => host.onEnd(call),
      },
      'exhaust',
      { heard, lost },
      (bytes) => held.sent(bytes),
    );
    const batchSize = 1 + clock.random.below(20);
    const header = { consumerId: 7n, bucket: BigInt(this.#bucket), batchSize };
    this.#connection.write(encodeConsumerHeader(header));
  }

  #lost(): void {
    this.#generation++;
    this.#connection = undefined;
    this.#later(20, 400, () => this.#connect());
  }

  // `count` messages, or a heartbeat.
  #answer(count: number): void {
    const { clock, isTame } = this.#world;
    if (!isTame && clock.chance(0.03)) {
      clock.count('consumers that went');
      this.#connection!.close();
      this.#lost();
      return;
    }
    if (!isTame && clock.chance(0.03)) {
      clock.count('consumers that fell silent');
      this.#later(4000, 9000, () => {
        this.#connection!.close();
        this.#lost();
      });
      return;
    }
    const fails = isTame ? 0 : clock.chance(0.3) ? 0.3 : 0;
    const answers = this.#bucket === RETRIED ? [...FAILURES, ACK_REJECTED] : FAILURES;
    const failure = () => answers[clock.random.below(answers.length)]!;
    const byte = () => (clock.chance(fails) ? failure() : ACK_DONE);
    const bytes = Uint8Array.from({ length: Math.max(1, count) }, byte);
    if (count === 0) bytes[0] = ACK_DONE;
    this.#later(0.5, isTame ? 5 : 60, () => this.#connection!.write(bytes));
  }
}

/** What the broker takes a consumer to hold, as its session was told and sent. */
class Holding {
  readonly #truth: BrokerTruth;
  readonly #host: Host;
  readonly #bucket: number;
  readonly #decoder = new DeliveryDecoder('u64');
  #life = '';
  #keys: string[] = [];
  #header = 20;
  #beats = 0;

  constructor(truth: BrokerTruth, host: Host, bucket: number) {
    this.#truth = truth;
    this.#host = host;
    this.#bucket = bucket;
  }

  accept(side: 'intake' | 'exhaust', link: Link): Session | undefined {
    this.#life = this.#host.handing.life;
    const { destroy } = link;
    // What it held is anybody's from when it is closed: before that nobody has it.
    link.destroy = () => {
      this.#release(this.#keys.length);
      destroy.call(link);
    };
    const session = this.#host.accept(side, link);
    if (session === undefined) return undefined;
    return {
      get heardMs() {
        return session.heardMs;
      },
      get closedFor() {
        return session.closedFor;
      },
      set closedFor(reason) {
        session.closedFor = reason;
      },
      receive: (bytes) => {
        this.#answered(bytes);
        session.receive(bytes);
      },
      finished: () => session.finished(),
      drained: () => session.drained(),
      gone: () => {
        this.#release(this.#keys.length);
        session.gone();
      },
    };
  }

  #answered(bytes: Uint8Array): void {
    const header = Math.min(this.#header, bytes.length);
    this.#header -= header;
    const acks = bytes.subarray(header);
    const beats = Math.min(this.#beats, this.#keys.length === 0 ? acks.length : 0);
    this.#beats -= beats;
    const answers = acks.subarray(beats);
    for (const [i, answer] of answers.entries())
      if (answer === ACK_DONE) this.#truth.done.add(this.#keys[i]!);
    this.#release(answers.length);
  }

  #release(count: number): void {
    for (const key of this.#keys.splice(0, count)) this.#truth.released(this.#life, key);
  }

  /** The broker hands a frame out. */
  sent(bytes: Uint8Array): void {
    for (const frame of this.#decoder.push(bytes)) {
      if (frame.isHeartbeat) {
        this.#beats++;
        continue;
      }
      this.#host.mayDeliver();
      for (let i = 0; i < frame.count; i++)
        this.#keys.push(this.#truth.deliver(this.#host.handing, this.#bucket, frame.body(i)));
      if (this.#bucket !== ONE_AT_A_TIME) continue;
      const held = this.#truth.heldOf(this.#life, this.#bucket);
      assert.ok(held <= 1, `${this.#life}: ${held} messages of bucket ${this.#bucket} are held`);
    }
  }
}
