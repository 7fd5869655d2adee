// Rules that are set and removed while the broker runs: checked, packed, durable, in force.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Changed, Expected } from '../../src/core/rule-changes.ts';
import { ruleOfWords } from '../../src/core/rules/rule.ts';
import { quote } from '../../src/core/rules/rule-error.ts';
import { RuleSet } from '../../src/core/rules/rule-set.ts';
import { acks, batch, brokerOf, type World } from '../support/world.ts';

function world(options: Parameters<typeof brokerOf>[0] = {}) {
  const made = brokerOf({ rules: [], ...options });
  const answers: Changed[] = [];
  const changes = made.broker.rulesInForce!.changes;
  const done = (changed: Changed) => void answers.push(changed);
  return {
    world: made,
    answers,
    set: (name: string, text: string, expected?: Expected) => {
      const [match, ...words] = text.split(' ');
      changes.ask({ name, rule: ruleOfWords(name, match!, words), expected }, done);
    },
    remove: (name: string, expected?: Expected) =>
      changes.ask({ name, rule: undefined, expected }, done),
    take: () => answers.splice(0),
    now: (world: World, bucket: bigint, key: 'batch' | 'maxInFlight') => {
      const { rules } = world.broker.buckets;
      const of = rules.for(Number(bucket & 0xffff_ffffn), Number(bucket >> 32n));
      return key === 'batch' ? of.batchMax : of.maxInFlight;
    },
  };
}

test('a rule is in force and answered when it is durable, and not before', () => {
  const { world: w, set, take, now } = world();
  w.publish(7, 'before');
  set('seven', '7 batch=3');
  w.turn();
  assert.deepEqual(take(), []);
  assert.notEqual(now(w, 7n, 'batch'), 3);
  w.settle();
  assert.deepEqual(take(), [{ ok: true, version: 2 }]);
  assert.equal(now(w, 7n, 'batch'), 3);
  assert.match(w.notices.at(-1)!.text, /rule "seven" is set: name=seven match=7 batch=3/);
});

test('replacing gives another version and leaves no trace of the one before', () => {
  const { world: w, set, take, now } = world();
  set('seven', '7 batch=3');
  w.settle();
  set('seven', '7 batch=4');
  set('seven', '7 batch=4');
  w.settle();
  const versions = take().map((each) => each.ok && each.version);
  assert.deepEqual(versions, [1, 2, 2]);
  assert.equal(now(w, 7n, 'batch'), 4);
  assert.equal(w.broker.retention.live, 1);
});

test('what is removed is gone when its mark is durable', () => {
  const { world: w, set, remove, take, now } = world();
  set('seven', '7 batch=3');
  w.settle();
  remove('seven');
  w.turn();
  assert.equal(now(w, 7n, 'batch'), 3);
  w.advance(1000, true);
  assert.deepEqual(take().at(-1), { ok: true, version: 1 });
  assert.notEqual(now(w, 7n, 'batch'), 3);
  assert.equal(w.broker.retention.live, 0);
  remove('seven');
  assert.deepEqual(
    take().map((each) => !each.ok && each.code),
    ['not-found'],
  );
});

test('a batch that was sealed before the mark says nothing of it', () => {
  const { world: w, set, remove, take, now } = world();
  set('seven', '7 batch=3');
  w.settle();
  take();
  const producer = w.producer();
  producer.send(batch('u64', [1, 'x']));
  w.turn();
  assert.ok(w.log.appending);
  remove('seven');
  w.log.complete();
  assert.deepEqual([take(), now(w, 7n, 'batch')], [[], 3]);
  w.advance(1000, true);
  assert.equal(take().length, 1);
});

test('of two who saw the same version one wins, whoever waits for the disk', () => {
  const { world: w, set, remove, take } = world();
  set('a', '7 batch=1', 'none');
  set('a', '7 batch=2', 'none');
  w.settle();
  set('a', '7 batch=3', 1);
  set('a', '7 batch=4', 1);
  remove('a', 1);
  w.settle();
  const codes = take().map((each) => (each.ok ? each.version : each.code));
  assert.deepEqual(codes, [1, 'changed', 2, 'changed', 'changed']);
  remove('a', 2);
  w.advance(1000, true);
  set('a', '7 batch=5', 'any');
  assert.deepEqual(
    take().map((each) => (each.ok ? each.version : each.code)),
    [2, 'changed'],
  );
});

test('rules that cannot be together are refused, over those of the file, too', () => {
  const { world: w, set, remove, take } = world({ rules: ['100-199 batch=5'] });
  const refusals = () => {
    w.settle();
    return take().map((each) => (each.ok ? 'ok' : `${each.code} ${each.detail}`));
  };
  set('other', '150-250 batch=6');
  assert.match(refusals()[0]!, /^conflict .*"rule-1" .*"other" .*overlap in part, in bucket 150/);
  set('rule-1', '1 batch=6');
  assert.match(refusals()[0]!, /^conflict .*configuration file/);
  remove('rule-1');
  assert.match(refusals()[0]!, /^conflict .*configuration file/);
  set('inside', '150-160 batch=6');
  assert.deepEqual(refusals(), ['ok']);
});

test('a change works at once on what waits', () => {
  const { world: w, set, remove } = world();
  set('slow', '7 max_in_flight=1');
  w.settle();
  w.publish(7, 'a', 'b', 'c');
  const consumer = w.consumer(7, 1);
  const second = w.consumer(7, 1);
  w.settle();
  assert.equal(consumer.take().length > 0, true);
  assert.equal(second.take().length, 0);
  set('slow', '7 max_in_flight=2');
  w.settle();
  assert.equal(second.take().length > 0, true);
  remove('slow');
  const third = w.consumer(7, 1);
  w.advance(1000, true);
  assert.equal(third.take().length > 0, true);
});

test('the log says rules in version 3, and a broker that has none asks for no such segment', () => {
  const { world: w, set, take } = world();
  assert.equal(w.log.bases().length, 1);
  w.publish(1, 'x');
  assert.equal(w.log.bases().length, 1);
  set('a', `1 batch=1`);
  w.settle();
  assert.equal(take().length, 1, quote('a'));
  assert.equal(w.log.bases().length, 2);
});

test('a bound of bytes that is set while messages are out counts these, too', () => {
  const { world: w, set, take } = world();
  const consumer = w.consumer(2, 2);
  w.publish(2, 'held', 'back', 'here');
  set('small', '2 max_bytes=12');
  w.settle();
  assert.equal(take().length, 1);
  const { buckets, counters } = w.broker;
  const slot = buckets.find(2, 0);
  assert.deepEqual([buckets.payload.of(slot), buckets.unackedOf(slot)], [12, 2]);
  consumer.send(acks(1, 0)); // one is done, and the other one is held again, with the last
  w.settle();
  assert.equal(buckets.payload.of(slot), 8);
  w.producer().send(batch('u64', [2, 'more'], [2, 'much']));
  w.settle();
  assert.equal(counters.refusedByRule, 1);
});

test('so does one that is set while what failed is in line before its head', () => {
  const { world: w, set } = world();
  const consumer = w.consumer(2, 2);
  w.publish(2, 'held', 'back', 'here');
  consumer.send(acks(0, 0));
  consumer.vanish();
  set('small', '2 max_bytes=12');
  w.settle();
  const { buckets, counters } = w.broker;
  assert.equal(buckets.payload.of(buckets.find(2, 0)), 12);
  w.producer().send(batch('u64', [2, 'more']));
  w.settle();
  assert.equal(counters.refusedByRule, 1);
});

test('while a change waits for its segment, all rules are not put together again and again', (t) => {
  const { world: w, set, take, now } = world();
  w.log.raised = false;
  const made = t.mock.method(RuleSet.prototype, 'with');
  set('seven', '7 batch=3');
  for (let i = 0; i < 50; i++) w.publish(1, 'x');
  assert.deepEqual([made.mock.callCount(), take()], [1, []]);
  w.log.raised = true;
  w.publish(1, 'x');
  w.settle();
  assert.equal(take().length, 1);
  assert.equal(now(w, 7n, 'batch'), 3);
});
