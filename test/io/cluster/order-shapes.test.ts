// Orders and answers as another node may send them: as they are, and nothing that they may not be.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command, CommandKind } from '../../../src/contract/commands.ts';
import { readJson, readOrder, readOrderAnswer } from '../../../src/io/cluster/order-shapes.ts';
import { Random } from '../../support/random.ts';
import { statusOf } from './orders-rig.ts';

type Whole<Kind extends CommandKind> = Required<Extract<Command, { kind: Kind }>>;
const page = { limit: 5, cursor: 'c' };

/** Every command with every field that it may have. */
const COMMANDS: { [Kind in CommandKind]: Whole<Kind> } = {
  buckets: { kind: 'buckets', sort: 'age', ...page, prefix: '1', line: 'dead' },
  bucket: { kind: 'bucket', id: '1', line: 'dead' },
  peek: { kind: 'peek', id: '1', limit: 2, bytes: 3, line: 'live', after: '9' },
  connections: { kind: 'connections', ...page },
  segments: { kind: 'segments', ...page },
  rules: { kind: 'rules', ...page },
  rule: { kind: 'rule', name: 'r' },
  'rule-keys': { kind: 'rule-keys' },
  'bucket-rule': { kind: 'bucket-rule', id: '1' },
  'rule-set': {
    kind: 'rule-set',
    name: 'r',
    match: '*',
    words: ['rate=5', 'lease=1s'],
    expected: 'none',
    preview: true,
  },
  'rule-remove': { kind: 'rule-remove', name: 'r', expected: 'any', preview: false },
  close: { kind: 'close', connection: 17 },
  pause: { kind: 'pause', id: '1' },
  resume: { kind: 'resume', id: '1' },
  purge: { kind: 'purge', id: '1', line: 'dead' },
  redrive: { kind: 'redrive', id: '1', to: '2', limit: 10, rate: 0.5 },
  'redrive-cancel': { kind: 'redrive-cancel', id: '1' },
  'dead-reasons': { kind: 'dead-reasons', id: '1', limit: 3 },
  backup: { kind: 'backup', into: '/x' },
  'backup-state': { kind: 'backup-state' },
  'backup-cancel': { kind: 'backup-cancel' },
  'cluster-step-down': { kind: 'cluster-step-down', leader: true },
};

const sent = (value: object) => readJson(Buffer.from(JSON.stringify(value)))!;
const order = (command: object) => readOrder(sent({ kind: 'command', command }));

test('every command comes through with every field, and none with a field of another kind', () => {
  for (const command of Object.values(COMMANDS)) {
    assert.deepEqual(order(command), { kind: 'command', command });
    assert.deepEqual(order({ ...command, newer: 'field' }), { kind: 'command', command });
    for (const name of Object.keys(command))
      for (const bent of [null, {}, -1, name === 'words' ? 'w' : ['w']]) {
        const read = order({ ...command, [name]: bent });
        assert.equal(read, undefined, `${command.kind} with ${name} ${JSON.stringify(bent)}`);
      }
  }
  for (const kind of ['constructor', '__proto__', 'hasOwnProperty', ''])
    assert.equal(order({ kind }), undefined, kind);
});

test('a field that is not needed may be absent, another may not', () => {
  assert.deepEqual(order({ kind: 'cluster-step-down' }), {
    kind: 'command',
    command: { kind: 'cluster-step-down' },
  });
  assert.deepEqual(order({ kind: 'purge', id: '1' }), {
    kind: 'command',
    command: { kind: 'purge', id: '1' },
  });
  for (const command of [
    { kind: 'peek', id: '1', limit: 2 },
    { kind: 'rule-set', name: 'r', match: '*' },
    { kind: 'buckets', limit: 2 },
  ])
    assert.equal(order(command), undefined, JSON.stringify(command));
});

test('a status is whole and short, or none', () => {
  const status = statusOf(2, { building: { bytes: 1, bytesTotal: 2 } });
  const read = (value: object) => readOrder(sent({ kind: 'status', status: value }));
  assert.deepEqual(read({ ...status, newer: 1 }), { kind: 'status', status });
  for (const name of Object.keys(status) as (keyof typeof status)[]) {
    const { [name]: _, ...rest } = status;
    assert.equal(read(rest), undefined, `without ${name}`);
    assert.equal(read({ ...status, [name]: 'x'.repeat(301) }), undefined, `${name} too long`);
  }
  assert.equal(read({ ...status, state: 'dancing' }), undefined);
  assert.equal(read({ ...status, node: 1.5 }), undefined);
});

test('answers: nodes that are none are left out, codes that are not known are failures', () => {
  const one = { ...statusOf(1), seenMs: 7 };
  const nodes = [one, { ...one, node: -1 }, statusOf(3), null, 5];
  assert.deepEqual(readOrderAnswer(sent({ nodes })), { nodes: [one] });
  const many = Array.from({ length: 100 }, (_, node) => ({ ...one, node }));
  assert.equal((readOrderAnswer(sent({ nodes: many })) as { nodes: object[] }).nodes.length, 64);
  const refusal = { ok: false, code: 'newer', detail: 'why', at: 'rate' };
  assert.deepEqual(readOrderAnswer(sent({ outcome: refusal })), {
    outcome: { ...refusal, code: 'failed' },
  });
  for (const none of [{}, { outcome: 5 }, { outcome: { ok: true } }, { refused: 'other' }])
    assert.equal(readOrderAnswer(sent(none)), undefined, JSON.stringify(none));
});

test('bent orders are none, or are what they say', (t) => {
  const seed = Number(process.env.THRUSTMQ_TEST_SEED ?? Date.now() % 2 ** 32);
  t.diagnostic(`THRUSTMQ_TEST_SEED=${seed}`);
  const random = new Random(seed);
  const all = Object.values(COMMANDS).map((command) => ({ kind: 'command', command }));
  const texts = [...all, { kind: 'status', status: statusOf(2) }].map((one) => JSON.stringify(one));
  const seen = new Set<string>();
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.from(texts[random.below(texts.length)]!);
    for (let bends = 1 + random.below(3); bends > 0; bends--)
      bytes[random.below(bytes.length)] = random.below(256);
    const json = readJson(bytes);
    const read = json && readOrder(json);
    seen.add(json === undefined ? 'no JSON' : read === undefined ? 'no order' : 'order');
    if (read !== undefined) assert.deepEqual(readOrder(sent(read)), read);
  }
  assert.deepEqual([...seen].sort(), ['no JSON', 'no order', 'order'], 'every outcome was seen');
});
