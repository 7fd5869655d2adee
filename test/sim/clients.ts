// The peers of the simulated world: producers that pipeline batches, and consumers of every kind.
// They know only what came over their connection; what they may be sent is the checker's matter.

import { ACK_REJECTED, ACK_WORKING, WIRE_U32, WIRE_U64 } from '../../assembly/layout.ts';
import {
  DeliveryDecoder,
  encodeBatch,
  encodeConsumerHeader,
  encodeGoodbye,
  type Wire,
  type WireMessage,
} from '../../src/codec/wire.ts';
import type { Random } from '../support/random.ts';
import { anyByte, plainByte } from './answers.ts';
import { type Bodies, bodyOf } from './bodies.ts';
import type { Checker } from './checker.ts';
import type { Life } from './life.ts';
import { ConsumerModel, type Owed, ProducerModel } from './model.ts';
import { SimLink } from './network.ts';

/** What both kinds of peers need. */
export interface Surroundings {
  life: Life;
  checker: Checker;
  random: Random;
  /** Chances of what consumers say of time; undefined: nothing. */
  later: Random | undefined;
  /** Chances of their own, by which consumers say that they work; undefined: none does. */
  works: Random | undefined;
  /** Chances by which consumers reject; undefined: none does. */
  deaths: Random | undefined;
  gone: (peer: Peer) => void;
}

export interface Peer {
  readonly link: SimLink;
  readonly model: { closed: boolean };
  /** Lets bytes pass to the broker. */
  arrive(bytes: Uint8Array): void;
  /** The client reads what was sent to it. */
  read(): void;
}

const bytesOf = (wire: Wire) => (wire === 'u64' ? WIRE_U64 : WIRE_U32);

// Tells the session in another turn, as sockets do.
function closing(around: Surroundings, peer: () => Peer, left: () => void): () => void {
  return () => {
    peer().model.closed = true;
    around.life.soon(() => {
      left();
      peer().link.session?.gone();
      around.gone(peer());
    });
  };
}

export class ProducerPeer implements Peer {
  readonly link: SimLink;
  readonly model = new ProducerModel();
  readonly #wire: Wire;
  readonly #around: Surroundings;

  constructor(around: Surroundings, id: number, wire: Wire) {
    const { checker, life } = around;
    this.#wire = wire;
    this.#around = around;
    this.link = new SimLink(id, bytesOf(wire), {
      sent: (bytes, lost) => {
        if (!lost) checker.check(() => checker.replied(this.model, bytes));
      },
      ended: () => life.soon(() => this.link.destroy()),
      closed: closing(
        around,
        () => this,
        () => {},
      ),
    });
    this.link.session = life.broker.openProducer(this.link)!;
  }

  /** Sends one batch; `bucket` picks where each message goes. */
  publish(bodies: Bodies, bucket: () => number, bytesMax: number): void {
    const { random, checker } = this.#around;
    const owed: Owed = { messages: [] };
    const frame: WireMessage[] = [];
    const count = random.chance(0.2) ? 1 : 1 + random.below(random.chance(0.1) ? 40 : 8);
    for (let i = 0; i < count; i++) {
      const again = checker.repeats?.pick();
      if (again !== undefined) {
        const { message, bucket: same } = again;
        frame.push({ bucket: BigInt(same), body: bodyOf(message.id, message.length) });
        checker.repeats!.sentAgain(message, checker.wall());
        owed.messages.push({ message, why: 'again' });
        continue;
      }
      const to = bucket();
      const kind = random.below(60);
      if (kind === 0 || kind === 1) {
        const length = kind === 0 ? 0 : bytesMax + 1 + random.below(500);
        frame.push({ bucket: BigInt(to), body: new Uint8Array(length) });
        owed.messages.push({ message: undefined, why: kind === 0 ? 'empty' : 'large' });
        continue;
      }
      const sizes = [1, 1 + random.below(20), random.below(600), random.below(bytesMax)];
      const { id, length } = bodies.next(Math.max(1, sizes[random.below(sizes.length)]!));
      frame.push({ bucket: BigInt(to), body: bodyOf(id, length) });
      const message = checker.sent(this.model, id, to, length);
      owed.messages.push({ message, why: undefined });
    }
    this.model.owed.push(owed);
    this.link.inbound.push(encodeBatch(frame, this.#wire));
  }

  goodbye(): void {
    this.link.inbound.push(encodeGoodbye());
    this.link.finishing = this.#around.random.chance(0.5);
  }

  arrive(bytes: Uint8Array): void {
    this.link.session!.receive(bytes);
  }

  read(): void {
    this.link.outbound = [];
  }
}

export type Temper = 'eager' | 'mixed' | 'holder' | 'silent';

export class ConsumerPeer implements Peer {
  readonly link: SimLink;
  readonly model: ConsumerModel;
  readonly temper: Temper;
  readonly #around: Surroundings;
  readonly #decoder: DeliveryDecoder;
  readonly #works: boolean;
  /** Messages delivered and not answered yet, as the client sees it. */
  unanswered = 0;

  constructor(
    around: Surroundings,
    id: number,
    options: { wire: Wire; bucket: number; batchSize: number; temper: Temper },
  ) {
    const { wire, bucket, batchSize, temper } = options;
    const { checker, life } = around;
    this.#around = around;
    this.temper = temper;
    this.#works = around.works?.chance(0.6) === true;
    this.model = new ConsumerModel(bucket, batchSize, wire);
    this.#decoder = new DeliveryDecoder(wire);
    const { deliveryBytesMax, deliveryBytesMaxU32 } = life.broker.limits;
    const most = wire === 'u64' ? deliveryBytesMax : deliveryBytesMaxU32;
    this.link = new SimLink(id, bytesOf(wire), {
      sent: (bytes) => checker.check(() => checker.delivered(this.model, bytes, most)),
      ended: () => life.soon(() => this.link.destroy()),
      closed: closing(
        around,
        () => this,
        () => checker.left(this.model, this.link.session?.closedFor ?? 'peer'),
      ),
    });
    this.link.session = life.broker.openConsumer(this.link)!;
    const header = { consumerId: 777n, bucket: BigInt(bucket), batchSize };
    this.link.inbound.push(encodeConsumerHeader(header));
  }

  #headerBytes = 20;

  arrive(bytes: Uint8Array): void {
    const acks = bytes.subarray(Math.min(bytes.length, this.#headerBytes));
    this.#headerBytes -= bytes.length - acks.length;
    const { checker } = this.#around;
    checker.acks(this.model, acks);
    this.link.session!.receive(bytes);
    checker.check(() => checker.decisions.answered());
  }

  /** Whether the broker has its header. */
  get joined(): boolean {
    return this.#headerBytes === 0;
  }

  read(): void {
    for (const bytes of this.link.outbound.splice(0))
      for (const frame of this.#decoder.push(bytes)) {
        if (frame.isHeartbeat) this.link.inbound.push(Uint8Array.of(1));
        else this.unanswered += frame.count;
      }
  }

  /** Answers `count` of the messages it has; a share of them with something else than 1. */
  answer(count: number, fails: number): void {
    const { random, later, deaths } = this.#around;
    const failure = () => {
      const byte = later === undefined ? plainByte(random) : anyByte(later);
      return deaths?.chance(0.4) === true ? ACK_REJECTED : byte;
    };
    const some = Math.min(count, this.unanswered);
    if (some === 0) return;
    this.unanswered -= some;
    const bytes = Uint8Array.from({ length: some }, () => (random.chance(fails) ? failure() : 1));
    this.link.inbound.push(this.#works ? this.#working(bytes) : bytes);
  }

  /** Rejects what it has. */
  reject(): void {
    this.link.inbound.push(new Uint8Array(this.unanswered).fill(ACK_REJECTED));
    this.unanswered = 0;
  }

  // The same bytes with some between them that are for no message.
  #working(acks: Uint8Array): Uint8Array {
    const works = this.#around.works!;
    const signs = () => new Array<number>(works.chance(0.2) ? 1 + works.below(4) : 0);
    return Uint8Array.from([
      ...[...acks].flatMap((ack) => [...signs().fill(ACK_WORKING), ack]),
      ...signs().fill(ACK_WORKING),
    ]);
  }

  /** Says, now and then, that it works: whether it holds something or not. */
  work(): void {
    if (!this.#works || !this.#around.works!.chance(0.3)) return;
    this.link.inbound.push(new Uint8Array(1 + this.#around.works!.below(6)).fill(ACK_WORKING));
  }
}
