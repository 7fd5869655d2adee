// Buckets that are paused and resumed while the broker runs: in force at once, answered when that
// is durable, and as it was when it is refused; and pauses that a file of an earlier version says.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Outcome } from '../../src/contract/commands.ts';
import { PAUSED_MAX } from '../../src/core/delivery/paused.ts';
import type { Settings } from '../../src/core/segments/settings.ts';
import { Random, seedOf } from '../support/random.ts';
import { batch, brokerOf } from '../support/world.ts';

const seed = seedOf('core/pause-changes.test');
const MOST = `${2n ** 64n - 1n}`;

function world(options: Parameters<typeof brokerOf>[0] = {}) {
  let settings!: Settings;
  const prepare: NonNullable<typeof options.prepare> = (state) => {
    settings = state.settings;
  };
  const made = brokerOf({ ...options, prepare });
  const answers: string[] = [];
  const { pauses, paused } = made.broker;
  const ask = (id: string, wanted: boolean) =>
    pauses.ask(id, wanted, (outcome: Outcome) => {
      const { ok } = outcome;
      answers.push(`${wanted ? '+' : '-'}${id} ${ok ? 'ok' : `${outcome.code} ${outcome.detail}`}`);
    });
  return {
    world: made,
    settings,
    paused,
    pause: (id: string) => ask(id, true),
    resume: (id: string) => ask(id, false),
    take: () => answers.splice(0),
    takeOver: (...ids: string[]) => {
      const removals: ((failure?: Error) => void)[] = [];
      pauses.takeOver({
        name: 'paused.json',
        ids,
        remove: (done) => void removals.push((failure) => done(failure)),
      });
      return removals;
    },
  };
}

test('a pause is in force at once, answered when it is durable, and so is its end', () => {
  const { world: w, settings, paused, pause, resume, take } = world();
  const consumer = w.consumer(7, 10);
  pause('7');
  w.turn();
  assert.deepEqual([paused.has('7'), take()], [true, []]);
  w.settle();
  assert.deepEqual(take(), ['+7 ok']);
  assert.deepEqual([...settings.texts, ...settings.paused], ['7']);
  w.publish(7, 'x');
  assert.equal(consumer.take().length, 0);
  resume('7');
  w.turn();
  assert.deepEqual([paused.has('7'), take()], [false, []]);
  assert.ok(consumer.take().length > 0);
  w.advance(100, true);
  assert.deepEqual(take(), ['-7 ok']);
  assert.deepEqual([settings.size, w.broker.retention.live], [0, 1]);
  assert.deepEqual(
    w.notices.map(({ kind }) => kind),
    ['admin.pause', 'admin.resume'],
  );
});

test('what is so already is answered at once, and nothing is written', () => {
  const { world: w, pause, resume, take } = world();
  resume(MOST);
  assert.deepEqual(take(), [`-${MOST} ok`]);
  pause(MOST);
  w.settle();
  take();
  const { length } = w.log.durable;
  pause(MOST);
  assert.deepEqual(take(), [`+${MOST} ok`]);
  w.settle();
  assert.deepEqual([w.log.durable.length, w.notices.length], [length, 1]);
});

test('those asked together go into one batch; changes of one bucket one after the other', () => {
  const { world: w, paused, pause, resume, take } = world();
  pause('1');
  w.settle(); // the first one brought another segment
  take();
  const { length } = w.log.durable;
  for (const id of ['2', '3', MOST]) pause(id);
  resume('3');
  pause('3');
  assert.ok(paused.has('3'));
  w.turn();
  assert.deepEqual(take(), []);
  w.settle();
  assert.deepEqual(take(), ['+2 ok', '+3 ok', `+${MOST} ok`]);
  assert.equal(w.log.durable.length, length + 1);
  w.advance(100, true);
  assert.deepEqual(take(), ['-3 ok', '+3 ok']);
  assert.equal(paused.count, 4);
});

test('a batch that was sealed before the mark says nothing of it', () => {
  const { world: w, settings, pause, resume, take } = world();
  pause('7');
  w.settle();
  take();
  w.producer().send(batch('u64', [1, 'x']));
  w.turn();
  assert.ok(w.log.appending);
  resume('7');
  w.log.complete();
  assert.deepEqual([take(), [...settings.paused]], [[], ['7']]);
  w.advance(1000, true);
  assert.deepEqual([take(), [...settings.paused]], [['-7 ok'], []]);
});

test('while the disk is full buckets are resumed, and none is paused', () => {
  const { world: w, paused, pause, resume, take } = world();
  pause('7');
  w.settle();
  take();
  w.log.blockedBy = 'no space left';
  w.log.next = false;
  pause('8');
  const text =
    '+8 no-space bucket 8 cannot be paused: the disk is full, and a pause has to be written; buckets can be resumed. Nothing has changed';
  assert.deepEqual([take(), paused.has('8')], [[text], false]);
  resume('7');
  assert.equal(paused.has('7'), false);
  w.advance(100, true);
  assert.deepEqual(take(), ['-7 ok']);
});

test('one that waits for its segment is in force, and as it was when the disk turns out full', () => {
  const { world: w, paused, pause, resume, take } = world();
  w.log.raised = false;
  pause('7');
  w.settle();
  assert.deepEqual([paused.has('7'), take()], [true, []]);
  w.log.blockedBy = 'no space left';
  w.broker.segmentChanged();
  assert.match(take().join(), /^\+7 no-space/);
  assert.equal(paused.has('7'), false);
  w.log.blockedBy = undefined;
  pause('7');
  w.log.raised = true;
  w.broker.segmentChanged();
  w.settle();
  assert.deepEqual([paused.has('7'), take()], [true, ['+7 ok']]);
  w.broker.close();
  resume('7');
  assert.match(take().join(), /^-7 stopping/);
  assert.ok(paused.has('7'));
});

test('no more than so many', () => {
  const { world: w, paused, pause, resume, take } = world();
  for (let id = 0; id < PAUSED_MAX; id++) pause(`${id}`);
  w.settle();
  assert.deepEqual([take().length, paused.count], [PAUSED_MAX, PAUSED_MAX]);
  pause(MOST);
  assert.match(take().join(), /too-many 10000 buckets are paused: resume one first/);
  pause('7');
  resume('7');
  w.advance(100, true);
  assert.deepEqual(take(), ['+7 ok', '-7 ok']);
  pause(MOST);
  w.settle();
  assert.deepEqual(take(), [`+${MOST} ok`]);
});

// The disk is full at times; what it says in the end is what a start would find.
test(`what was answered is so, whatever else is asked for meanwhile (seed ${seed})`, () => {
  const random = new Random(seed);
  let refused = 0;
  for (let round = 0; round < 200; round++) {
    const { world: w, settings, paused, pause, resume, take } = world();
    const said: string[] = [];
    const hear = () => said.push(...take());
    for (let step = 0; step < 25; step++) {
      const id = `${random.below(3)}`;
      if (random.chance(0.5)) pause(id);
      else resume(id);
      w.log.blockedBy = random.chance(0.3) ? 'no space left' : undefined;
      if (random.chance(0.3)) w.turn();
      else if (random.chance(0.5) && w.log.appending) w.log.complete();
      else if (random.chance(0.2)) w.advance(50, true);
      hear();
    }
    w.log.blockedBy = undefined;
    w.advance(500, true);
    hear();
    assert.equal(said.length, 25);
    const expected = new Set<string>();
    for (const each of said) {
      const [sign, id] = [each[0], each.slice(1).split(' ')[0]!];
      if (!each.endsWith(' ok')) refused++;
      else if (sign === '+') expected.add(id);
      else expected.delete(id);
    }
    for (const id of ['0', '1', '2']) {
      const where = `bucket ${id} in round ${round}: ${said.join('; ')}`;
      assert.equal(paused.has(id), expected.has(id), where);
      assert.equal(settings.pausesOf(id).length, expected.has(id) ? 1 : 0, where);
    }
  }
  assert.ok(refused > 200, `${refused}`);
});

describe('pauses that a file says', () => {
  test('are in force at once, and the file goes when the log says them', () => {
    const { world: w, settings, paused, pause, resume, take, takeOver } = world();
    pause('1');
    w.settle();
    take();
    const removals = takeOver('1', '2', MOST);
    assert.equal(paused.count, 3);
    w.turn();
    assert.equal(removals.length, 0);
    w.settle();
    assert.deepEqual([...settings.paused], ['1', MOST, '2']);
    assert.equal(settings.size, 3); // what a start before it has taken over is not written again
    assert.equal(removals.length, 1);
    w.publish(9, 'x');
    assert.equal(removals.length, 1);
    pause('2');
    assert.deepEqual(take(), ['+2 ok']);
    removals[0]!();
    assert.match(
      w.notices.at(-1)!.text,
      /paused\.json says are paused \(3\) are paused by the log/,
    );
    resume('2');
    w.advance(100, true);
    assert.deepEqual(take(), ['-2 ok']);
    assert.deepEqual([...settings.paused], ['1', MOST]);
  });

  test('cannot be resumed before the file is gone: it would pause them again', () => {
    const { world: w, paused, resume, take, takeOver } = world();
    const removals = takeOver('2');
    const refused = (text: RegExp) => {
      resume('2');
      assert.match(take().join(), text);
      assert.ok(paused.has('2'));
    };
    refused(/^-2 conflict bucket 2 cannot be resumed: its pause is being taken over from paused/);
    w.settle();
    refused(/being taken over.*ask again then\. Nothing has changed$/);
    removals[0]!(new Error('read-only'));
    assert.match(w.notices.at(-1)!.text, /cannot be removed: read-only/);
    w.publish(9, 'x');
    assert.equal(removals.length, 1);
    refused(/stands in paused\.json, which cannot be removed \(read-only\)/);
    assert.equal(removals.length, 2);
    removals[1]!();
    resume('2');
    w.advance(100, true);
    assert.deepEqual([take(), paused.count], [['-2 ok'], 0]);
  });

  test('are in force while the disk is full, and taken over when it is not any more', () => {
    const { world: w, settings, paused, pause, resume, take, takeOver } = world();
    pause('1');
    w.settle();
    take();
    w.log.blockedBy = 'no space left';
    const removals = takeOver('2', '3');
    w.settle();
    assert.deepEqual([paused.count, settings.size], [3, 1]);
    resume('2');
    assert.match(take().join(), /as soon as the disk has room for it/);
    resume('1');
    w.advance(100, true);
    assert.deepEqual([take(), removals.length], [['-1 ok'], 0]);
    w.log.blockedBy = undefined;
    w.broker.segmentChanged();
    w.settle();
    assert.deepEqual([[...settings.paused].sort(), removals.length], [['2', '3'], 1]);
  });

  test('of none the file goes', () => {
    const { takeOver } = world();
    assert.equal(takeOver().length, 1);
  });
});
