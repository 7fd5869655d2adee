// The preamble byte by byte, and bent: what is not one is refused, whatever it is, and never read
// past its end.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ANSWER,
  NAME_BYTES_MAX,
  type OrdersPreamble,
  PREAMBLE,
  type Preamble,
  readAnswer,
  readPreamble,
  VERDICTS,
  writeAnswer,
  writePreamble,
} from '../../../src/io/cluster/preamble.ts';
import { Random } from '../../support/random.ts';

const PROOF = Uint8Array.from({ length: 32 }, (_, i) => 0xc0 + i);
const CLIENT: Preamble = {
  side: 'exhaust',
  wire: 4,
  address: '192.0.2.77',
  port: 0x8123,
  node: 'nöd',
  cluster: 'prod',
  proof: PROOF,
};
const zeros = (bytes: number) => '00'.repeat(bytes);
const GOLDEN = [
  '544d5150', // TMQP
  '01', // version
  '01', // exhaust
  '04', // u32
  '04', // IPv4
  `c000024d${zeros(12)}`,
  '2381', // port
  '04', // bytes of the cluster's name
  '04', // and of the node's
  zeros(4),
  'c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf',
  `70726f64${zeros(60)}`,
  `6ec3b664${zeros(60)}`,
];

test('a preamble is these bytes', () => {
  const bytes = writePreamble(CLIENT);
  assert.equal(bytes.toString('hex'), GOLDEN.join(''));
  assert.equal(bytes.length, PREAMBLE.BYTES);
  assert.deepEqual(readPreamble(bytes), { ...CLIENT, proof: Buffer.from(PROOF) });
  const six = writePreamble({ ...CLIENT, side: 'intake', wire: 8, address: '2001:db8::1:0:42' });
  const address = six.subarray(PREAMBLE.SIDE, PREAMBLE.PORT).toString('hex');
  assert.equal(address, '00080620010db8000000000000000100000042');
});

test('a node with orders says who it is, and names no client', () => {
  const orders: OrdersPreamble = { side: 'orders', node: 'nöd', cluster: 'prod', proof: PROOF };
  const bytes = writePreamble(orders);
  const [magic, version, , , , , , ...from] = GOLDEN;
  assert.equal(bytes.toString('hex'), [magic, version, '02', zeros(20), ...from].join(''));
  assert.deepEqual(readPreamble(bytes), { ...orders, proof: Buffer.from(PROOF) });
  for (let at = PREAMBLE.DIALECT; at < PREAMBLE.CLUSTER_BYTES; at++) {
    const bent = Buffer.from(bytes);
    bent[at] = 4;
    assert.equal(readPreamble(bent), 'malformed', `byte ${at}`);
  }
  bytes[PREAMBLE.SIDE] = 4;
  assert.equal(readPreamble(bytes), 'malformed');
});

test('a node that follows the stream says of which log, and names no client', () => {
  const logId = 0xfedc_ba98_7654_3210n;
  const follows = { side: 'stream', logId, node: 'nöd', cluster: 'prod', proof: PROOF } as const;
  const bytes = writePreamble(follows);
  const [magic, version, , , , , , ...from] = GOLDEN;
  const id = '1032547698badcfe';
  const head = [magic, version, '03', zeros(2), id, zeros(10), ...from];
  assert.equal(bytes.toString('hex'), head.join(''));
  assert.deepEqual(readPreamble(bytes), { ...follows, proof: Buffer.from(PROOF) });
  for (let at = PREAMBLE.DIALECT; at < PREAMBLE.CLUSTER_BYTES; at++) {
    if (at >= PREAMBLE.ADDRESS && at < PREAMBLE.ADDRESS + 8) continue;
    const bent = Buffer.from(bytes);
    bent[at] = 4;
    assert.equal(readPreamble(bent), 'malformed', `byte ${at}`);
  }
});

test('answers are these bytes', () => {
  for (const [code, verdict] of VERDICTS.entries()) {
    assert.equal(writeAnswer(verdict).toString('hex'), `544d5150010${code}0000`);
    assert.equal(readAnswer(writeAnswer(verdict)), verdict);
  }
  for (const other of ['', 'HTTP/1.1', 'TMQP', 'TMQP\x01\x63\0\0', 'tmqp\x01\0\0\0'])
    assert.equal(readAnswer(Buffer.from(other)), 'not-a-node', other);
  assert.equal(ANSWER.BYTES, 8);
});

test('addresses come out as the owner itself would see them', () => {
  const seen = (address: string) =>
    (readPreamble(writePreamble({ ...CLIENT, address })) as Preamble).address;
  for (const same of ['10.0.0.1', '::1', '::', 'fe80::1', '2001:db8:1:2:3:4:5:6', '1::8'])
    assert.equal(seen(same), same);
  assert.equal(seen('::ffff:10.1.2.3'), '10.1.2.3');
  assert.equal(seen('fe80::1%eth0'), 'fe80::1');
  assert.equal(seen('2001:DB8:0:0:0:0:0:1'), '2001:db8::1');
  for (const none of ['', 'localhost', '1.2.3', '1.2.3.4.5', ':::', '1.2.3.4:5'])
    assert.throws(() => writePreamble({ ...CLIENT, address: none }), RangeError, none);
});

test('names have bounds', () => {
  const long = 'n'.repeat(NAME_BYTES_MAX);
  const names = readPreamble(writePreamble({ ...CLIENT, node: long, cluster: long })) as Preamble;
  assert.deepEqual([names.node, names.cluster], [long, long]);
  for (const name of ['', `${long}n`, 'ü'.repeat(33)])
    assert.throws(() => writePreamble({ ...CLIENT, node: name }), RangeError);
  const bent = (node: string) => readPreamble(writePreamble({ ...CLIENT, node }));
  for (const name of ['a\nb', 'a\0', '\u202eabc', '\u001b[2J'])
    assert.equal(bent(name), 'malformed');
});

test('what is no preamble is told as soon as it is certain', () => {
  const whole = writePreamble(CLIENT);
  for (let length = 0; length < whole.length; length++)
    assert.equal(readPreamble(whole.subarray(0, length)), undefined, `${length}`);
  for (const other of ['G', 'TLS', 'TMQX', '\x16\x03\x01'])
    assert.equal(readPreamble(Buffer.from(other)), 'not-a-node');
  const newer = Buffer.from('TMQP\x02');
  assert.equal(readPreamble(newer), 'version', 'whatever it means behind that');
  assert.equal(readPreamble(Buffer.from('TMQP\0')), 'malformed');
});

test('bent preambles are refused, or mean what they say', (t) => {
  const seed = Number(process.env.THRUSTMQ_TEST_SEED ?? Date.now() % 2 ** 32);
  t.diagnostic(`THRUSTMQ_TEST_SEED=${seed}`);
  const random = new Random(seed);
  const seen = new Set<string>();
  for (let round = 0; round < 20_000; round++) {
    const bytes = writePreamble(CLIENT);
    for (let bends = 1 + random.below(3); bends > 0; bends--)
      bytes[random.below(bytes.length)] = random.below(256);
    const read = readPreamble(bytes.subarray(0, random.chance(0.1) ? random.below(192) : 192));
    seen.add(typeof read === 'object' ? 'read' : String(read));
    if (typeof read === 'object')
      assert.equal(writePreamble(read).toString('hex'), bytes.toString('hex'));
    else assert.ok(['not-a-node', 'version', 'malformed', undefined].includes(read as never));
  }
  const all = ['malformed', 'not-a-node', 'read', 'undefined', 'version'];
  assert.deepEqual([...seen].sort(), all, 'every outcome was seen');
});
