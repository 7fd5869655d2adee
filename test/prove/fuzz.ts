// Generated and bent bytes: frames of both dialects for the module and its plain twin, which must
// agree on everything; logs, which may be refused but never yield a changed message; and frames for
// a living broker, which must stay up while a healthy client beside the others notices nothing.

import assert from 'node:assert/strict';
import {
  BUCKET_BYTES,
  INTAKE_RULED,
  RESULT_CONSUMED,
  RESULT_RUN_MESSAGES,
  WIRE_U32,
  WIRE_U64,
} from '../../assembly/layout.ts';
import { encodeBatch, encodeConsumerHeader } from '../../src/codec/wire.ts';
import { type WatchedBuckets, writeWatched } from '../../src/core/fairness/watched-buckets.ts';
import type { Codec } from '../../src/core/ports/codec.ts';
import { NO_HEAD, writeHead } from '../../src/core/records/placed.ts';
import { Collector, filesOf } from '../log/harness.ts';
import { type BrokerProcess, RawPeer, startBroker, temporaryFolder } from '../support/broker.ts';
import { publish, TestConsumer, texts } from '../support/client.ts';
import { Random } from '../support/random.ts';
import { ringView, scanOf, Twins, takenFrom } from '../support/twins.ts';
import { goOn, startOn } from './goes-on.ts';
import { fullSegment } from './logs.ts';
import { type CaseOptions, type Counts, count, type Part } from './part.ts';

const FRAMES = 1000;
const LOGS = 10;
const PEERS = 12;
const SEGMENT = 64 * 1024;
const LOG_BYTES = 16 * 1024;
const LOOK = 32 * 1024;
const ODD = [0, 1, 255, 256, 2 ** 16, 2 ** 26, 2 ** 26 + 1, 2 ** 31, 2 ** 32 - 1];

/** Changes some bytes: flips, odd numbers, pieces copied, cut out or put in. */
export function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  let out = joined(bytes);
  for (let times = 1 + random.below(4); times > 0 && out.length > 0; times--) {
    const at = random.below(out.length);
    const size = 1 + random.below(Math.min(64, out.length - at));
    const kind = random.below(6);
    if (kind === 0) out[at]! ^= 1 << random.below(8);
    else if (kind === 1) out.fill(random.below(256), at, at + size);
    else if (kind === 2 && at + 4 <= out.length)
      new DataView(out.buffer).setUint32(at, ODD[random.below(ODD.length)]!, true);
    else if (kind === 3) out.copyWithin(random.below(out.length), at, at + size);
    else if (kind === 4) out = joined(out.subarray(0, at), out.subarray(at + size));
    else out = joined(out.subarray(0, at), out.subarray(at, at + size), out.subarray(at));
  }
  return out;
}

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const U64_MAX = 2n ** 64n - 1n;

function bucketOf(random: Random): bigint {
  return random.below(4) === 0 ? U64_MAX : BigInt(random.below(3));
}

function messagesOf(random: Random) {
  return Array.from({ length: 1 + random.below(12) }, () => ({
    bucket: bucketOf(random),
    body: bodyOf(random),
  }));
}

// Buckets that stop an intake: mostly none; else a few, by any masks and in a range.
function watchedOf(random: Random): WatchedBuckets {
  if (random.below(3) > 0) return { masked: [], ranges: [] };
  const masks = [U64_MAX, U64_MAX - 1n, 1n, 0n].slice(random.below(4));
  const masked = masks.map((mask, i) => ({ mask, value: bucketOf(random) & mask, rule: i + 1 }));
  const first = bucketOf(random);
  const ranges = [{ first, last: random.below(2) === 0 ? first : U64_MAX, rule: 9 }];
  return {
    masked: masked.slice(random.below(masked.length + 1)),
    ranges: random.below(2) === 0 ? [] : ranges,
  };
}

function bodyOf(random: Random): Uint8Array {
  const body = new Uint8Array(1 + random.below(40));
  for (let i = 0; i < body.length; i++) body[i] = random.below(256);
  return body;
}

export class Fuzz implements Part {
  readonly name = 'fuzz';
  readonly counts: Counts = {};
  readonly skipped: string[] = [];
  readonly cases = Number.POSITIVE_INFINITY;
  #twins: Twins | undefined;
  #broker: Promise<BrokerProcess> | undefined;
  #healthy: TestConsumer | undefined;
  #turn = 0;

  async run({ seed, index }: CaseOptions): Promise<void> {
    const random = new Random((seed + index * 104_729) >>> 0);
    if (index % 3 === 0) this.#frames(random);
    else if (index % 3 === 1) await this.#logs(random);
    else await this.#peers(random);
  }

  #frames(random: Random): void {
    this.#twins ??= new Twins();
    for (let i = 0; i < FRAMES; i++) {
      const wire = random.below(2) === 0 ? WIRE_U32 : WIRE_U64;
      const messages = messagesOf(random);
      const frame = encodeBatch(messages, wire === WIRE_U64 ? 'u64' : 'u32').subarray(4);
      if (random.below(4) === 0) announce(frame, wire, random);
      const bytes = random.below(4) === 0 ? frame : mutate(frame, random);
      const limit = random.below(3) === 0 ? random.below(1000) : SEGMENT;
      const left = messages.length + random.below(3);
      // Around the size of one of them.
      const most = messages[random.below(messages.length)]!.body.length + random.below(3);
      const sizes = { left, limit, most: random.below(3) === 0 ? most : 300 };
      const watched = watchedOf(random);
      const written = this.#twins.same((codec) => {
        writeWatched(codec.rules, watched);
        return intake(codec, bytes, wire, sizes);
      });
      if (written.status === INTAKE_RULED) count(this.counts, 'frames that a rule stopped');
      count(this.counts, 'frames');
      // What came of it is scanned, whole and bent.
      const log = written.ring.slice(0, written.writeAt);
      for (const each of [log, mutate(log, random)])
        this.#twins.same((codec) => {
          codec.memory.set(each, 0);
          return scanOf(codec, 0, each.length, 0);
        });
      count(this.counts, 'scans', 2);
    }
  }

  async #logs(random: Random): Promise<void> {
    const built = fullSegment(random, LOG_BYTES);
    const whole = await startOn(filesOf(built));
    assert.ok(whole instanceof Collector);
    for (let i = 0; i < LOGS; i++) {
      const image = new Uint8Array(LOG_BYTES);
      const head = random.below(4) === 0 ? 0 : built.offsets[0]!;
      const bent = mutate(built.image.subarray(head), random).subarray(0, LOG_BYTES - head);
      image.set(built.image.subarray(0, head));
      image.set(bent, head);
      const files = filesOf({ ...built, image });
      const got = await startOn(files);
      count(this.counts, 'bent logs');
      if (typeof got === 'string') continue;
      for (const [sequence, body] of got.messages)
        assert.equal(body, whole.messages.get(sequence), `message ${sequence} was changed`);
      await goOn(files, got, LOG_BYTES);
    }
  }

  async #peers(random: Random): Promise<void> {
    this.#broker ??= startBroker({
      dataDir: temporaryFolder(),
      flags: ['--max-message', '65536', '--intake', '127.0.0.1:0,wire=u32'],
    });
    const broker = await this.#broker;
    this.#healthy ??= await TestConsumer.join(broker.exhaust, 999_999n, 10);
    const peers: RawPeer[] = [];
    for (let i = 0; i < PEERS; i++) {
      const toConsumers = random.below(3) === 0;
      const peer = await RawPeer.connect(toConsumers ? broker.exhaust : broker.intake);
      peers.push(peer);
      const header = { consumerId: 5n, bucket: BigInt(random.below(3)), batchSize: 5 };
      const acks = new Uint8Array(random.below(20)).fill(1);
      const sound = toConsumers
        ? joined(encodeConsumerHeader(header), acks)
        : encodeBatch(messagesOf(random), random.below(2) === 0 ? 'u64' : 'u32');
      for (let rest = mutate(sound, random); rest.length > 0; ) {
        const piece = 1 + random.below(rest.length);
        peer.send(rest.slice(0, piece));
        rest = rest.subarray(piece);
      }
      count(this.counts, 'frames to a broker');
    }
    // A bent frame may have named this bucket only by an accident that does not happen.
    const text = `healthy ${this.#turn++}`;
    assert.deepEqual(await publish(broker.intake, 999_999n, [text]), [1]);
    assert.deepEqual(texts(await this.#healthy.take(1)), [text]);
    assert.equal(broker.child.exitCode, null, 'the broker ended');
    for (const peer of peers) peer.destroy();
  }

  async close(): Promise<void> {
    this.#healthy?.leave();
    const broker = await this.#broker;
    if (broker === undefined) return;
    const bugs = broker.lines.filter(({ msg }) => /\bbug\b/.test(msg));
    assert.equal(await broker.stop(), 0, 'the broker did not stop in order');
    assert.deepEqual(bugs, []);
  }
}

/** Another length in the first message's head. */
function announce(frame: Uint8Array, wire: number, random: Random): void {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  view.setUint32(BUCKET_BYTES, ODD[random.below(ODD.length)]!, true);
  if (wire === WIRE_U64) view.setUint32(BUCKET_BYTES + 4, random.below(2), true);
}

interface Sizes {
  /** Messages of the batch still to come. */
  left: number;
  /** Room in the segment, and of the largest message, in bytes. */
  limit: number;
  most: number;
}

function intake(codec: Codec, bytes: Uint8Array, wire: number, { left, limit, most }: Sizes) {
  codec.memory.fill(0, codec.coldBytes, codec.coldBytes + LOOK);
  codec.openSegment(0, 0, SEGMENT, 7);
  codec.openBatch(true);
  codec.setSequence(1);
  codec.setLimit(limit - (limit % BUCKET_BYTES));
  codec.inbox.set(bytes);
  const taken = takenFrom(codec, codec.intake(0, bytes.length, left, wire, most));
  if (taken.status !== INTAKE_RULED) return Object.assign(taken, { ring: ringView(codec, LOOK) });
  // The host decided: of the run the first is refused, and the rest is packed, maybe behind a head.
  const run = codec.result[RESULT_RUN_MESSAGES]!;
  codec.skim(taken.consumed, bytes.length, 1, wire, most);
  const at = taken.consumed + codec.result[RESULT_CONSUMED]!;
  writeHead(codec.marks, 0, { ...NO_HEAD, dueMs: 8 * (left + limit) });
  const later = run > 1 && limit % 2 === 0;
  const ended = later
    ? codec.intakePlaced(at, bytes.length, run - 1, wire)
    : codec.intake(at, bytes.length, run - 1, wire, most, true);
  const rest = takenFrom(codec, ended);
  const { status, run: stopped } = taken;
  return { ...rest, status, stopped, ring: ringView(codec, LOOK) };
}
