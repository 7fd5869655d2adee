// The broker's one timer on a host of the test's: how often it wakes, and that its clock stands
// still while the process does.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ticker } from '../../src/io/ticker.ts';

class Host {
  nowMs = 1000;
  timer: { atMs: number; call: () => void } | undefined;
  soon: (() => void)[] = [];
  readonly ticks: { clockMs: number; nowMs: number }[] = [];
  readonly late: number[] = [];
  /** How long the broker wants to sleep. */
  sleepMs = 25;
  readonly ticker = new Ticker({
    now: () => this.nowMs,
    later: (ms, call) => {
      this.timer = { atMs: this.nowMs + ms, call };
      return () => {
        this.timer = undefined;
      };
    },
    soon: (call) => void this.soon.push(call),
    tick: (clockMs) => {
      this.ticks.push({ clockMs, nowMs: this.nowMs });
      return clockMs + this.sleepMs;
    },
    late: (ms) => void this.late.push(ms),
  });

  /** Time passes; timers fire when they are due. */
  pass(ms: number): void {
    const until = this.nowMs + ms;
    while (this.timer !== undefined && this.timer.atMs <= until) {
      this.nowMs = Math.max(this.nowMs, this.timer.atMs);
      this.fire();
    }
    this.nowMs = until;
  }

  /** The process stood still; then the loop goes on with what is due. */
  stall(ms: number): void {
    this.nowMs += ms;
    if (this.timer !== undefined && this.timer.atMs <= this.nowMs) this.fire();
  }

  fire(): void {
    const { call } = this.timer!;
    this.timer = undefined;
    call();
    for (const each of this.soon.splice(0)) each();
  }
}

test('ticks while something goes on; asleep once a minute at most, and the clock keeps time', () => {
  const host = new Host();
  host.ticker.start();
  host.pass(1000);
  assert.equal(host.ticks.length, 40);
  assert.equal(host.ticks.at(-1)!.clockMs, 1000);
  host.sleepMs = Number.POSITIVE_INFINITY;
  host.pass(25);
  host.ticks.length = 0;
  host.pass(600_000);
  assert.equal(host.ticks.length, 10);
  assert.equal(host.ticker.clockMs, 601_025);
});

test('who stirs it is told the time, and a tick follows', () => {
  const host = new Host();
  host.ticker.start();
  host.sleepMs = 30_000;
  host.pass(10_000);
  host.ticks.length = 0;
  host.sleepMs = 25;
  assert.equal(host.ticker.stirred(), 10_000);
  host.pass(25);
  assert.deepEqual(host.ticks, [{ clockMs: 10_025, nowMs: 11_025 }]);
  assert.equal(host.ticker.stirred(), 10_025);
});

test('a stall: the clock stands still, and what has come in is read before the tick', () => {
  for (const sleepMs of [25, 5000]) {
    const host = new Host();
    host.ticker.start();
    host.sleepMs = sleepMs;
    host.pass(25);
    host.ticks.length = 0;
    const { soon } = host;
    let readAt = Number.NaN;
    host.soon = Object.assign([], {
      push: (call: () => void) => {
        readAt = host.ticker.stirred(); // as who reads does
        assert.equal(host.ticker.lateMs, 0, 'who reads now is not told of a loop that hangs');
        return soon.push(call);
      },
      splice: () => soon.splice(0),
    }) as unknown as (() => void)[];
    host.stall(20_000);
    const most = 25 + sleepMs + 1 + 75;
    assert.equal(host.ticks.length, 1);
    assert.ok(
      readAt <= most && host.ticks[0]!.clockMs <= most,
      `${readAt}, ${host.ticks[0]!.clockMs}`,
    );
    assert.ok(host.late.at(-1)! > 20_000 - sleepMs - 50, 'and it is counted');
    host.pass(sleepMs + 1);
    assert.equal(host.ticks.length, 2, 'it goes on');
  }
});

test('a loop that hangs is late; one that sleeps is not', () => {
  const host = new Host();
  host.ticker.start();
  host.sleepMs = 10_000;
  host.pass(5000);
  assert.equal(host.ticker.lateMs, 0);
  host.nowMs += 8000; // no timer fires
  assert.ok(host.ticker.lateMs > 2900, `${host.ticker.lateMs}`);
});

test('stopped, it ticks no more', () => {
  const host = new Host();
  host.ticker.start();
  host.ticker.stop();
  host.pass(1000);
  assert.equal(host.ticks.length, 0);
});
