// Why a bucket's messages are not delivered, rule by rule: each is asked with facts that a later
// rule would answer otherwise, and with several consumers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SILENT_MS, whyOf } from '../../../src/core/admin/explain.ts';
import type { Broker } from '../../../src/core/broker.ts';
import type { Consumer } from '../../../src/core/connections/consumer.ts';
import type { ConsumerState } from '../../../src/core/connections/consumer-deadlines.ts';
import type { HeldBack } from '../../../src/core/delivery/delivery-limits.ts';

const NOW_MS = 100_000;
const WALL_MS = 1_700_000_000_000;

/** What is known of the bucket: messages wait, one consumer could take them, nothing is wrong. */
const FACTS = {
  closing: false,
  isPurging: false,
  ready: 3,
  unacked: 0,
  delayed: 0,
  retried: 0,
  held: undefined as HeldBack | undefined,
  isSuspended: false,
  isCounted: true,
  refuses: false,
  paused: false,
  dies: false,
  expires: false,
  over: false,
  loading: false,
  attempts: 0,
  consumers: [consumer('waiting')],
};

/** A consumer, when it was last heard, and since when it has not read, each in ms before now. */
function consumer(state: ConsumerState, heard = 0, stuck?: number): Consumer {
  const stuckSinceMs = stuck === undefined ? -1 : NOW_MS - stuck;
  return { state, heardMs: NOW_MS - heard, stuckSinceMs } as Consumer;
}

function why(facts: Partial<typeof FACTS>): { code: string; agoMs: number | undefined } {
  const { closing, isPurging, consumers, ...known } = { ...FACTS, ...facts };
  const next = { sequence: 1, attempts: known.attempts };
  const share = { loading: known.loading, requeued: { peek: () => next }, ahead: [], aheadAt: 0 };
  const broker = {
    closing,
    reportMs: NOW_MS,
    permission: { isSuspended: known.isSuspended },
    buckets: {
      sources: { isOn: false },
      readyOf: () => known.ready,
      unackedOf: () => known.unacked,
      delayed: { of: () => known.delayed, retriedOf: () => known.retried },
      isCounted: () => known.isCounted,
      idOf: () => '1',
      kindOf: () => 0,
      subscription: () => share,
    },
    commit: { refuses: known.refuses },
    mover: { holds: () => known.dies },
    rulesInForce: { sweeper: { holds: () => known.expires } },
    limitsOfRules: { heldBack: () => known.held },
    paused: { has: () => known.paused },
    budget: { over: known.over },
  } as unknown as Broker;
  const { code, since } = whyOf(broker, 1, { consumers, isPurging, wallMs: WALL_MS });
  return { code, agoMs: since === undefined ? undefined : WALL_MS - Date.parse(since) };
}

const codeOf = (facts: Partial<typeof FACTS>) => why(facts).code;

test('each rule comes before those behind it', () => {
  const silent = consumer('unacked', SILENT_MS);
  // One fact after the other goes, and the next rule answers.
  const facts = {
    ...{ closing: true, isPurging: true, paused: true, over: true, loading: true, attempts: 1 },
    ...{ expires: true, refuses: true, isSuspended: true },
    held: { by: 'order' } as HeldBack | undefined,
    consumers: [] as Consumer[],
  };
  const goes: [Partial<typeof FACTS>, string][] = [
    [{}, 'stopping'],
    [{ closing: false }, 'suspended'],
    [{ isSuspended: false }, 'dying-waits'],
    [{ refuses: false }, 'expiring'],
    [{ expires: false }, 'purging'],
    [{ isPurging: false }, 'paused'],
    [{ paused: false }, 'no-consumer'],
    [{ consumers: [consumer('unacked', SILENT_MS, 1000)] }, 'consumer-not-reading'],
    [{ consumers: [silent] }, 'consumer-silent'],
    [{ consumers: [consumer('unacked')] }, 'consumers-at-limit'],
    [{ consumers: [consumer('heartbeat')] }, 'heartbeat-pending'],
    [{ consumers: [consumer('waiting')] }, 'in-order-hold'],
    [{ held: { by: 'rate', untilMs: NOW_MS } }, 'at-rate'],
    [{ held: undefined }, 'memory-full'],
    [{ over: false }, 'reading'],
    [{ loading: false }, 'redelivering'],
    [{ attempts: 0 }, 'delivering'],
  ];
  for (const [gone, code] of goes) assert.equal(codeOf(Object.assign(facts, gone)), code);
});

test('nothing waits only if that is known, and nothing is held', () => {
  assert.equal(codeOf({ ready: 0 }), 'empty');
  assert.equal(codeOf({ ready: 0, refuses: true }), 'storage-full');
  assert.equal(codeOf({ ready: 0, paused: true }), 'empty');
  assert.equal(codeOf({ ready: 0, isCounted: false }), 'delivering', 'some may be in indexes');
  assert.equal(codeOf({ ready: 0, isCounted: false, over: true }), 'memory-full');
  assert.equal(codeOf({ ready: 0, unacked: 1, over: true }), 'delivering', 'none is held back');
});

test('what waits for a time is not nothing, and no consumer could change it', () => {
  assert.equal(codeOf({ ready: 0, delayed: 1, retried: 1 }), 'in-retry');
  assert.equal(codeOf({ ready: 0, delayed: 1, retried: 1, refuses: true }), 'in-retry');
  assert.equal(codeOf({ ready: 0, delayed: 1, retried: 1, consumers: [] }), 'in-retry');
  assert.equal(codeOf({ ready: 0, delayed: 1, consumers: [] }), 'delayed', 'nobody had it yet');
  assert.equal(codeOf({ ready: 0, delayed: 2, retried: 1 }), 'in-retry');
  assert.equal(codeOf({ ready: 0, delayed: 1, paused: true }), 'paused', 'also when it is due');
  assert.equal(codeOf({ ready: 0, delayed: 1, unacked: 1 }), 'delivering');
  assert.equal(codeOf({ ready: 1, delayed: 1, consumers: [] }), 'no-consumer');
  assert.equal(codeOf({ ready: 1, delayed: 1 }), 'delivering');
});

test('one consumer that reads, answers or waits speaks for all', () => {
  const stuck = consumer('unacked', 9000, 8000);
  const silent = consumer('unacked', 9000);
  assert.equal(codeOf({ consumers: [stuck, consumer('waiting')] }), 'delivering');
  assert.equal(codeOf({ consumers: [stuck, consumer('unacked')] }), 'consumers-at-limit');
  assert.equal(codeOf({ consumers: [silent, consumer('unacked')] }), 'consumers-at-limit');
  assert.equal(codeOf({ consumers: [silent, consumer('heartbeat')] }), 'consumers-at-limit');
  assert.equal(codeOf({ consumers: [stuck, silent] }), 'consumer-silent');
});

test('since when: the latest of them, by when it read or was heard', () => {
  const none = { code: 'consumers-at-limit', agoMs: SILENT_MS - 1 };
  assert.deepEqual(why({ consumers: [consumer('unacked', SILENT_MS - 1)] }), none);
  const silent = [consumer('unacked', 9000), consumer('unacked', 6000), consumer('header', 7000)];
  assert.deepEqual(why({ consumers: silent }), { code: 'consumer-silent', agoMs: 6000 });
  const stuck = [consumer('unacked', 9000, 2000), consumer('unacked', 100, 1000)];
  assert.deepEqual(why({ consumers: stuck }), { code: 'consumer-not-reading', agoMs: 1000 });
  const soon = [consumer('unacked', 9000, 999)];
  assert.equal(codeOf({ consumers: soon }), 'consumer-silent', 'no second is over');
});

test('the dead wait for the disk, whoever consumes; without a full disk they are on their way', () => {
  assert.equal(codeOf({ refuses: true, dies: true }), 'dying-waits');
  assert.equal(codeOf({ refuses: true, dies: true, paused: true }), 'paused');
  assert.notEqual(codeOf({ dies: true }), 'dying-waits');
});
