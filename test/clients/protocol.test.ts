// PROTOCOL.md against the code: every hex example is made again by wire.ts, every limit compared
// with the broker's, and both Python programs run against the scripted broker.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  ACK_DONE,
  ACK_FAILED,
  ACK_REJECTED,
  ACK_RELEASED,
  ACK_RETRY,
  ACK_RETRY_EXPONENT_MAX,
  ACK_RETRY_FREE,
  ACK_WORKING,
  BATCH_MESSAGES_MAX,
  MESSAGE_BYTES_CEILING,
  MESSAGE_BYTES_DEFAULT,
} from '../../assembly/layout.ts';
import { retryByte } from '../../src/codec/retry-bytes.ts';
import {
  encodeAcks,
  encodeBatch,
  encodeConsumerHeader,
  encodeDelivery,
  encodeGoodbye,
  encodeHeartbeat,
  U64_MAX,
  type Wire,
} from '../../src/codec/wire.ts';
import { DEFAULT_LIMITS } from '../../src/core/limits.ts';
import { FakeExhaust, FakeIntake } from '../client/fake-broker.ts';
import { hasPython, runPython } from './python.ts';

const page = readFileSync(new URL('../../../src/codec/PROTOCOL.md', import.meta.url), 'utf8');
const hi = Buffer.from('hi');

function batch(wire: Wire): Uint8Array {
  const second = { bucket: U64_MAX, body: Buffer.from('ThrustMQ') };
  return encodeBatch([{ bucket: 7n, body: hi }, second], wire);
}

const EXAMPLES: Record<string, Uint8Array> = {
  'producer u64': batch('u64'),
  'producer u32': batch('u32'),
  'acks: the first stored, the second refused': encodeAcks([true, false]),
  'acks of a consumer: done, rejected, released, retry after 30 s, the same uncharged, failed':
    Uint8Array.of(
      ACK_DONE,
      ACK_REJECTED,
      ACK_RELEASED,
      retryByte(30_000, true),
      retryByte(30_000, false),
      ACK_FAILED,
    ),
  goodbye: encodeGoodbye(),
  consumer: encodeConsumerHeader({ consumerId: 777n, bucket: 7n, batchSize: 100 }),
  'delivery u64': encodeDelivery([hi], 'u64'),
  'delivery u32': encodeDelivery([hi], 'u32'),
  'heartbeat u64': encodeHeartbeat('u64'),
  'heartbeat u32': encodeHeartbeat('u32'),
};

describe('PROTOCOL.md', () => {
  const shown = new Map<string, string>();
  for (const [, name, body] of page.matchAll(/^```hex (.*)\n([^`]*)^```$/gm))
    shown.set(name, body.replace(/;.*$/gm, '').replace(/\s+/g, ''));

  test('shows every example once', () => {
    assert.deepEqual([...shown.keys()].sort(), Object.keys(EXAMPLES).sort());
    assert.equal(page.match(/^```hex /gm)?.length, shown.size);
  });

  for (const [name, bytes] of Object.entries(EXAMPLES))
    test(`hex of "${name}" is what wire.ts encodes`, () => {
      assert.equal(shown.get(name), Buffer.from(bytes).toString('hex'));
    });

  test('the bytes of consumers are those of the table', () => {
    const hex = (byte: number) => `0x${byte.toString(16)}`;
    const section = page.slice(page.indexOf('## Consumer'));
    const shown = [...section.matchAll(/^\| (\d\S*?),? .*?\| (\w+)/gm)].map(([, byte, word]) => [
      byte,
      word,
    ]);
    assert.deepEqual(shown.slice(0, 7), [
      [`${ACK_DONE}`, 'done'],
      [`${ACK_FAILED}`, 'failed'],
      [`${ACK_REJECTED}`, 'rejected'],
      [`${ACK_RELEASED}`, 'released'],
      [hex(ACK_RETRY), 'failed'],
      [hex(ACK_RETRY_FREE), 'the'],
      [hex(ACK_WORKING), 'still'],
    ]);
    const exponents = section.match(/e = 0 … \d+/g);
    assert.deepEqual(exponents, new Array(2).fill(`e = 0 … ${ACK_RETRY_EXPONENT_MAX}`));
  });

  test('limits are the broker’s', () => {
    const rows = new Map<string, string>();
    const table = page.slice(page.indexOf('| what | limit |'));
    for (const [, what, limit] of table.matchAll(/^\| (.*?) \| (.*?) \| .* \|$/gm))
      rows.set(what, limit);
    assert.equal(rows.get('message'), `1 byte … ${MESSAGE_BYTES_DEFAULT} bytes (configurable)`);
    assert.equal(rows.get('Length'), `${MESSAGE_BYTES_CEILING}`);
    assert.equal(rows.get('batch size'), `${BATCH_MESSAGES_MAX}`);
    assert.equal(rows.get("consumer's batch size"), `1 … ${BATCH_MESSAGES_MAX}`);
    const seconds = `${DEFAULT_LIMITS.consumerHeaderMs / 1000} s`;
    assert.equal(rows.get("time to a consumer's first 20 bytes"), seconds);
    assert.equal(rows.get('connections'), `${DEFAULT_LIMITS.connectionsMax} (configurable)`);
  });
});

describe('the Python programs on the page', { skip: !hasPython && 'python3 is missing' }, () => {
  const programs = [...page.matchAll(/^```python\n([^`]*)^```$/gm)].map(([, code]) => code);

  test('are two, of at most ten lines of code', () => {
    assert.equal(programs.length, 2);
    for (const code of programs)
      assert.ok(code.split('\n').filter((line) => line !== '').length <= 10);
  });

  test('the producer publishes', async () => {
    await using intake = await new FakeIntake().start();
    intake.reply = () => Uint8Array.of(1, 0);
    const python = runPython(['-c', programs[0].replace('1888', `${intake.port}`)]);
    await intake.goodbyes.next();
    const { code, stdout, stderr } = await python.ended;
    assert.deepEqual([code, stdout, stderr], [0, 'acks 1 0\n', '']);
    assert.deepEqual(
      intake.stored.map(({ bucket, body }) => `${bucket} ${Buffer.from(body)}`),
      ['7 hello', '7 world'],
    );
  });

  test('the consumer receives, acks and answers heartbeats', async () => {
    await using exhaust = await new FakeExhaust().start();
    const python = runPython(['-c', programs[1].replace('2888', `${exhaust.port}`)]);
    const link = await exhaust.links.next();
    assert.deepEqual(link.header, { consumerId: 777n, bucket: 7n, batchSize: 100 });
    link.heartbeat();
    assert.deepEqual(await link.acks(1), [1]);
    link.deliver('hello', 'world');
    assert.deepEqual(await link.acks(2), [1, 1]);
    link.socket.end();
    const { code, stdout, stderr } = await python.ended;
    assert.deepEqual([code, stdout, stderr], [0, 'hello\nworld\n', '']);
  });
});
