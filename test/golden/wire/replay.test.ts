// Replays the golden wire files at every split, on the plain codec and on the WebAssembly module.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  MESSAGE_SIZE_BYTES,
  RECORD_HEADER_BYTES,
  WIRE_U32,
  WIRE_U64,
} from '../../../assembly/layout.ts';
import type { Slice } from '../../../src/core/buckets/slice.ts';
import type { Limits } from '../../../src/core/limits.ts';
import type { Codec } from '../../../src/core/ports/codec.ts';
import { sharedEngine } from '../../support/engine.ts';
import { type GoldenCase, hexOf, linesOf, readGolden, settingsOf } from '../../support/golden.ts';
import { brokerOf, type FakeLink, type Peer, smallCodec, type World } from '../../support/world.ts';

const FOLDER = new URL('../../../../test/golden/wire/', import.meta.url);
// Of thousands of worlds, one after the other.
const engine = sharedEngine('a world begins with the segment and the sequence');
const codecs: [string, () => Codec][] = [
  ['plain', smallCodec],
  ['wasm', () => engine],
];

interface Setting {
  wire: number;
  limits: Partial<Limits>;
}

function setupOf(golden: GoldenCase): Setting {
  const settings = settingsOf(golden.blocks.get('setup'));
  const wire = settings.get('wire');
  assert.ok(wire === 'u64' || wire === 'u32', `${golden.file}: ${golden.title} names no dialect`);
  settings.delete('wire');
  const limits = Object.fromEntries([...settings].map(([key, value]) => [key, Number(value)]));
  return { wire: wire === 'u64' ? WIRE_U64 : WIRE_U32, limits };
}

/** What became of a connection. */
function fate(world: World, link: FakeLink): string {
  if (link.destroyed) return `closed ${world.notices.at(-1)?.kind}`;
  return link.ended ? 'ended' : 'open';
}

/** Everything that waits, in order of arrival: bucket and bytes. Empties the broker. */
function waiting(world: World): [string, Uint8Array][] {
  const { buckets } = world.broker;
  const found: [number, string, Uint8Array][] = [];
  const add = (slot: number, part: Slice): void => {
    const record = world.log.read(part.position, RECORD_HEADER_BYTES + part.bodyBytes);
    const view = new DataView(record.buffer);
    let at = RECORD_HEADER_BYTES;
    for (let i = 0; i < part.first + part.count; i++) {
      const size = view.getUint32(at, true);
      const body = record.slice(at + MESSAGE_SIZE_BYTES, at + MESSAGE_SIZE_BYTES + size);
      if (i >= part.first) found.push([part.sequence + i - part.first, buckets.idOf(slot), body]);
      at += MESSAGE_SIZE_BYTES + size;
    }
  };
  for (const slot of [...buckets.slots()]) {
    // What was lost together is apart from the rest of the line.
    for (const part of buckets.subscription(slot)?.suspects?.slices ?? []) add(slot, part);
    for (let part = buckets.peek(slot); part !== undefined; part = buckets.peek(slot)) {
      add(slot, part);
      buckets.take(part, part.count);
    }
  }
  found.sort(([a], [b]) => a - b);
  return found.map(([, bucket, body]) => [bucket, body]);
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

type AnyPeer = Peer<{
  receive(b: Uint8Array): void;
  finished(): void;
  drained(): void;
  gone(): void;
}>;

interface Outcome {
  out: string;
  events: string[];
}

function publishAll(world: World, golden: GoldenCase): void {
  for (const line of linesOf(golden.blocks.get('publish'))) {
    const [bucket, bytes] = line.split(' ');
    world.publish(BigInt(bucket!), hexOf(bytes));
  }
}

/** Plays the case with its input in these pieces. */
function play(golden: GoldenCase, codec: Codec, pieces: readonly Uint8Array[]): Outcome {
  const { wire, limits } = setupOf(golden);
  const world = brokerOf({ codec, limits });
  const isProducer = golden.file.startsWith('producer');
  publishAll(world, golden);
  const peer: AnyPeer = isProducer ? world.producer(wire) : world.rawConsumer(wire);
  for (const piece of pieces) peer.send(piece);
  if (isProducer && !peer.link.destroyed) world.settle();
  const out = hex(peer.link.bytes);
  const events = [fate(world, peer.link)];
  assert.equal(peer.link.lost, 0, 'something was sent after the end');
  world.advance(100, true); // what was complete is stored, with or without the rest of its batch
  peer.vanish();
  const kind = isProducer ? 'stored' : 'waiting';
  const left = waiting(world).map(([bucket, body]) => `${kind} ${bucket} ${hex(body)}`);
  if (isProducer) events.unshift(...left);
  else events.push(...left);
  return { out, events };
}

function expectedOf(golden: GoldenCase): Outcome {
  const { blocks } = golden;
  assert.ok(blocks.has('in') && blocks.has('out') && blocks.has('events'), golden.title);
  return { out: hex(hexOf(blocks.get('out'))), events: linesOf(blocks.get('events')) };
}

/** The input whole, in two at every byte, and byte by byte. A consumer's lines are never joined. */
function splitsOf(golden: GoldenCase): Uint8Array[][] {
  const block = golden.blocks.get('in');
  const isProducer = golden.file.startsWith('producer');
  const steps = isProducer ? [hexOf(block)] : linesOf(block).map(hexOf);
  const splits = [steps];
  steps.forEach((step, i) => {
    for (let cut = 1; cut < step.length; cut++) {
      const halves = [step.subarray(0, cut), step.subarray(cut)];
      splits.push([...steps.slice(0, i), ...halves, ...steps.slice(i + 1)]);
    }
  });
  splits.push(steps.flatMap((step) => Array.from(step, (_, i) => step.subarray(i, i + 1))));
  return splits;
}

const all = readGolden(FOLDER);
const records = all.filter((golden) => golden.file === 'records.md');
const cases = all.filter((golden) => golden.file !== 'records.md');

test('there are cases of both sides and both dialects', () => {
  for (const file of ['producer-u64', 'producer-u32', 'consumer-u64', 'consumer-u32'])
    assert.ok(cases.some((golden) => golden.file === `${file}.md`));
});

for (const golden of cases) {
  test(`${golden.file}: ${golden.title}`, () => {
    const expected = expectedOf(golden);
    for (const [name, codec] of codecs) {
      for (const pieces of splitsOf(golden)) {
        const where = `${name}, in pieces of ${pieces.map((piece) => piece.length)}`;
        assert.deepEqual(play(golden, codec(), pieces), expected, where);
      }
    }
  });
}

for (const golden of records) {
  test(`${golden.file}: ${golden.title}`, () => {
    const { wire, limits } = setupOf(golden);
    const expected = hex(hexOf(golden.blocks.get('log')));
    assert.ok(expected.length > 0);
    for (const [name, codec] of codecs) {
      const world = brokerOf({
        codec: codec(),
        limits,
        starting: golden.title.startsWith('Start'),
      });
      publishAll(world, golden);
      const before = world.log.durable.length;
      if (golden.blocks.has('in')) world.producer(wire).send(hexOf(golden.blocks.get('in')));
      if (golden.blocks.has('ack')) {
        const consumer = world.consumer(1);
        for (const bytes of linesOf(golden.blocks.get('ack'))) consumer.send(hexOf(bytes));
        consumer.vanish();
        world.broker.commit.drain();
      }
      world.settle();
      const appended = world.log.durable.slice(before).map(({ bytes }) => hex(bytes));
      assert.equal(appended.join(''), expected, name);
    }
  });
}
