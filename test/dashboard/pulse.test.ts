// When the dashboard's process counts as silent, by a clock that is moved by hand: a stuck process
// is found in time, and one that answers is not accused, whatever happens to the broker.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BEAT_MS,
  longerStart,
  MISSED_MAX,
  Pulse,
  type PulseClock,
  START_BEATS,
} from '../../src/dashboard/pulse.ts';

/** Within this a stuck process has to be found, so that another one is there within ten seconds. */
const FOUND_MS_MAX = 8000;

/** An event loop by hand: timers first, then what has arrived, then what waited for that. */
class Loop implements PulseClock {
  nowMs = 0;
  /** What peers have sent, unread. */
  readonly arrived: (() => void)[] = [];
  #timers: { dueMs: number; everyMs: number; call: () => void }[] = [];
  #after: (() => void)[] = [];

  every(ms: number, call: () => void): () => void {
    const timer = { dueMs: this.nowMs + ms, everyMs: ms, call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  afterReads(call: () => void): void {
    this.#after.push(call);
  }

  turn(): void {
    for (const timer of [...this.#timers])
      if (timer.dueMs <= this.nowMs) {
        // As Node does: however late it is, a timer is called once, and again a period later.
        timer.dueMs = this.nowMs + timer.everyMs;
        timer.call();
      }
    for (const read of this.arrived.splice(0)) read();
    for (const call of this.#after.splice(0)) call();
  }

  /** Runs for a time; `during` is called every 100 ms, before the turn. */
  run(ms: number, during: () => void = () => {}): void {
    for (const untilMs = this.nowMs + ms; this.nowMs < untilMs; ) {
      this.nowMs += 100;
      during();
      this.turn();
    }
  }

  /** Nothing of the broker runs meanwhile. */
  stall(ms: number): void {
    this.nowMs += ms;
  }
}

function watched({ startBeats = START_BEATS, listens = true } = {}) {
  const loop = new Loop();
  const asked: number[] = [];
  const silent: string[] = [];
  /** How long an answer takes; undefined: for ever. */
  const child = { delayMs: 0 as number | undefined };
  const due: { atMs: number; id: number }[] = [];
  const pulse = new Pulse({
    clock: loop,
    startBeats,
    ask: (id) => {
      asked.push(id);
      if (child.delayMs !== undefined) due.push({ atMs: loop.nowMs + child.delayMs, id });
    },
    silent: (why) => silent.push(why),
  });
  if (listens) pulse.listens();
  const deliver = () => {
    while (due[0] !== undefined && due[0].atMs <= loop.nowMs) {
      const { id } = due.shift()!;
      loop.arrived.push(() => pulse.answered(id));
    }
  };
  return { loop, pulse, asked, silent, child, deliver, run: (ms: number) => loop.run(ms, deliver) };
}

test('a process that answers is asked now and then, and nothing else', () => {
  for (const delayMs of [0, 100, BEAT_MS - 100, BEAT_MS, MISSED_MAX * BEAT_MS - 100]) {
    const { child, asked, silent, run } = watched();
    child.delayMs = delayMs;
    run(3_600_000);
    assert.deepEqual(silent, [], `answers after ${delayMs} ms`);
    assert.ok(asked.length <= 3_600_000 / BEAT_MS);
    assert.ok(asked.length >= 3_600_000 / (BEAT_MS * (MISSED_MAX + 1)));
  }
});

test('a process that stops to answer is found in time, once, whenever it stops', () => {
  for (let afterMs = 0; afterMs <= 3 * BEAT_MS; afterMs += 100) {
    const { loop, child, asked, silent, run } = watched();
    run(afterMs);
    child.delayMs = undefined;
    const questions = asked.length;
    const stuckMs = loop.nowMs;
    while (silent.length === 0) run(100);
    assert.ok(loop.nowMs - stuckMs <= FOUND_MS_MAX, `found after ${loop.nowMs - stuckMs} ms`);
    run(60_000);
    assert.deepEqual(silent, ['no answer for 4 s']);
    assert.ok(asked.length - questions <= 1, 'no second question before the answer to the first');
  }
});

test('a broker that was stalled accuses nobody whose answer is there', () => {
  for (const stallMs of [3000, 10_000, 3_600_000])
    for (let afterMs = 0; afterMs <= 3 * BEAT_MS; afterMs += 100)
      for (const delayMs of [0, 1000, BEAT_MS + 500]) {
        const { loop, child, silent, deliver, run } = watched();
        child.delayMs = delayMs;
        for (let stalls = 0; stalls < 3; stalls++) {
          run(afterMs);
          loop.stall(stallMs);
          deliver(); // the process went on meanwhile: its answers lie unread
        }
        run(30_000);
        assert.deepEqual(silent, [], `${stallMs} ms after ${afterMs} ms, answers in ${delayMs}`);
      }
});

test('both stalled together, as in a sleeping laptop', () => {
  for (let afterMs = 0; afterMs <= 3 * BEAT_MS; afterMs += 100) {
    const { loop, child, silent, run } = watched();
    child.delayMs = 1000;
    run(afterMs);
    loop.stall(8 * 3_600_000);
    loop.turn(); // the broker is awake first, and nothing has arrived yet
    run(30_000);
    assert.deepEqual(silent, [], `after ${afterMs} ms`);
  }
});

test('a broker that stalls again and again still finds a process that is stuck', () => {
  const { loop, child, silent, run } = watched();
  child.delayMs = undefined;
  for (let stalls = 0; stalls < 4; stalls++) {
    loop.stall(60_000);
    run(100);
  }
  assert.equal(silent.length, 1);
});

test('a process that never begins to listen is found, too, and the next one has longer', () => {
  const { asked, silent, run } = watched({ listens: false });
  run(FOUND_MS_MAX);
  assert.deepEqual(silent, ['not listening after 8 s']);
  assert.deepEqual(asked, [], 'nobody is asked before it listens');
  const patient = watched({ listens: false, startBeats: longerStart(START_BEATS) });
  patient.run(15_900);
  assert.deepEqual(patient.silent, []);
  patient.pulse.listens();
  patient.run(60_000);
  assert.deepEqual(patient.silent, []);
  let beats = START_BEATS;
  for (let i = 0; i < 100; i++) beats = longerStart(beats);
  assert.equal((beats * BEAT_MS) / 1000, 120, 'two minutes at most');
});

test('a stalled broker does not accuse a process that has begun to listen meanwhile', () => {
  for (let afterMs = 0; afterMs < START_BEATS * BEAT_MS; afterMs += 100) {
    const { loop, pulse, silent, run } = watched({ listens: false });
    run(afterMs);
    loop.stall(60_000);
    loop.arrived.push(() => pulse.listens());
    run(30_000);
    assert.deepEqual(silent, [], `after ${afterMs} ms`);
  }
});

test('an answer to another question is none, and after the end nothing comes', () => {
  const { pulse, child, silent, run } = watched();
  child.delayMs = undefined;
  run(BEAT_MS * 2);
  pulse.answered(0);
  pulse.answered(7);
  run(BEAT_MS);
  assert.equal(silent.length, 1);
  const other = watched();
  other.child.delayMs = undefined;
  other.run(BEAT_MS * (MISSED_MAX + 1) - 100);
  other.pulse.stop();
  other.run(60_000);
  assert.deepEqual([other.silent, other.asked], [[], [1]]);
});
