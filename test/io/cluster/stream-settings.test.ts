// Whether a stream is as it was made: no difference passes, what servers leave out does.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamInfo } from '../../../src/io/cluster/nats.ts';
import {
  logIdIn,
  streamConfig,
  streamName,
  subjectOf,
  whyRefused,
} from '../../../src/io/cluster/stream-settings.ts';

const ID = 0x00ab_cdef_0123_4567n;
const CHOICE = { cluster: 'prod', shard: 0, maxBytes: 2 ** 30, replicas: 3 };
const CREATED = '2026-01-02T03:04:05.678Z';

function refusal(changed: Record<string, unknown>, createdBefore?: string): string | undefined {
  const config = { ...streamConfig(CHOICE, ID), ...changed };
  return whyRefused({ config, created: CREATED } as unknown as StreamInfo, CHOICE, createdBefore);
}

test('names', () => {
  assert.equal(streamName(CHOICE), 'TMQ_prod_0');
  assert.equal(subjectOf(CHOICE), 'tmq.prod.0');
});

test('as it was made, and with defaults left out or said, it is taken', () => {
  const spared = { max_age: undefined, deny_purge: undefined, allow_rollup_hdrs: undefined };
  const said = {
    sealed: false,
    sources: [],
    mirror: null,
    compression: 'none',
    metadata: { a: '' },
  };
  for (const changed of [{}, spared, said]) assert.equal(refusal(changed, CREATED), undefined);
});

test('servers of old versions may tell times that are a little apart', () => {
  const apart = (ms: number) => new Date(Date.parse(CREATED) + ms).toISOString();
  assert.equal(refusal({}, apart(16)), undefined);
  assert.match(refusal({}, apart(1000))!, /was made anew/);
});

test('a stream that was made anew is refused', () => {
  assert.match(refusal({}, '2025-01-01T00:00:00Z')!, /was made anew at 2026-.* the one of 2025-/);
});

test('every other setting is refused and named', () => {
  const others: Record<string, unknown> = {
    subjects: ['tmq.prod.>'],
    retention: 'workqueue',
    storage: 'memory',
    discard: 'old',
    num_replicas: 1,
    max_bytes: -1,
    max_age: 1,
    max_msgs: 5,
    max_msgs_per_subject: 5,
    max_msg_size: 1000,
    deny_delete: false,
    deny_purge: true,
    allow_direct: false,
    allow_rollup_hdrs: true,
    duplicate_window: 120e9,
    mirror: { name: 'x' },
    sources: [{ name: 'x' }],
    republish: { src: '>', dest: 'x' },
    sealed: true,
    persist_mode: 'async',
  };
  const spoken = { max_bytes: /may hold -1 bytes/, num_replicas: /has 1 replicas, not 3/ };
  for (const [key, value] of Object.entries(others)) {
    const pattern = new Map<string, RegExp>(Object.entries(spoken)).get(key) ?? new RegExp(key);
    assert.match(refusal({ [key]: value }) ?? '', pattern, key);
  }
});

test('a stream says which log it was made for; what says none is not ours', () => {
  const of = (description: string | undefined) => logIdIn({ description } as never);
  assert.equal(of(streamConfig(CHOICE, ID).description), ID);
  const others = [
    undefined,
    '',
    'ThrustMQ log, format 1',
    'ThrustMQ log, format 2, id 00abcdef01234567',
  ];
  for (const other of others) assert.equal(of(other), undefined, other);
});
