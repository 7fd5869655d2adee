// The numbers of a broker over time: while it sleeps, and while the wall clock is set.

import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, describe, test } from 'node:test';
import { loadConfig } from '../src/config/load.ts';
import { Clock } from '../src/io/clock.ts';
import { Reporter } from '../src/reporter.ts';
import { brokerOf, type World } from './support/world.ts';

const DAY_MS = 86_400_000;

const folder = mkdtempSync(`${tmpdir()}/thrustmq-reporter-`);
after(() => rmSync(folder, { recursive: true, force: true }));
const { config } = await loadConfig({
  flags: { data_dir: folder },
  environment: {},
  workingDir: folder,
  terminal: false,
});

/** A broker and its reporter, as server.ts puts them together, on clocks of the test's. */
class Setup {
  readonly world: World = brokerOf({ limits: { heartbeatMs: 1e9 } });
  wallMs = 1_700_000_000_000;
  readonly reporter: Reporter;
  dataDir = folder;
  /** How often it was asked where the data folder is. */
  asked = 0;

  constructor() {
    const { world } = this;
    const clock = new Clock(
      () => this.wallMs,
      () => world.clockMs,
    );
    const coldReads = { reads: 0, bytes: 0 };
    this.reporter = new Reporter({
      config,
      version: '0',
      broker: world.broker,
      log: world.log.ports,
      status: { full: false, diskBytes: 0, spares: 0, indexBytes: 0, coldReads },
      clock,
      dataDir: () => {
        this.asked++;
        return this.dataDir;
      },
    });
  }

  /** Time passes for everybody, with a tick at the end as one follows each input. */
  pass(ms: number): void {
    this.world.advance(ms, true);
    this.world.clockMs += ms;
    this.wallMs += ms;
    this.reporter.tick();
  }

  /** The same, asleep. */
  sleep(ms: number): void {
    this.world.clockMs += ms;
    this.wallMs += ms;
  }

  get snapshot() {
    return this.reporter.snapshot();
  }
}

describe('the wall clock is set', () => {
  for (const jumpMs of [-DAY_MS, DAY_MS])
    test(`by ${jumpMs} ms: ages, rates and uptime are as if it were not`, () => {
      const setup = new Setup();
      setup.pass(5000);
      setup.world.publish(1, 'x');
      setup.pass(2000);
      setup.wallMs += jumpMs;
      setup.world.publish(1, ...Array.from({ length: 50 }, () => 'y'));
      setup.pass(1000);
      const { snapshot } = setup;
      assert.equal(snapshot.buckets.oldestAgeMs, 3000);
      assert.equal(snapshot.uptimeMs, 8000);
      assert.equal(snapshot.rates.publishedMessages, 50);
      assert.equal(Date.parse(snapshot.now), setup.wallMs);
      assert.equal(Date.parse(snapshot.now) - Date.parse(snapshot.startedAt), 8000);
    });

  test('what was stored before this start counts from it, whatever the wall clock did', () => {
    const setup = new Setup();
    const { retention } = setup.world.broker;
    retention.add(100, 1, 1);
    setup.pass(1000);
    setup.wallMs -= DAY_MS;
    setup.pass(1000);
    assert.equal(setup.snapshot.buckets.oldestAgeMs, 2000);
  });
});

describe('a broker that sleeps', () => {
  test('has rates of 0 when it is asked, and asks for no ticks for them', () => {
    const setup = new Setup();
    setup.reporter.stirred();
    setup.world.publish(1, ...Array.from({ length: 100 }, () => 'x'));
    setup.pass(1000);
    assert.equal(setup.snapshot.rates.publishedMessages, 100);
    assert.ok(setup.reporter.tick() <= 1000, 'the rates have to end');
    setup.sleep(60_000);
    assert.equal(setup.snapshot.rates.publishedMessages, 0);
    setup.reporter.tick();
    assert.ok(setup.reporter.tick() > 1000);
  });

  test('a burst after an hour is a burst', () => {
    const setup = new Setup();
    setup.pass(1000);
    setup.sleep(3_600_000);
    setup.reporter.stirred();
    setup.world.publish(1, ...Array.from({ length: 100 }, () => 'x'));
    setup.pass(1000);
    assert.equal(setup.snapshot.rates.publishedMessages, 100);
  });

  test('late timers are those of the last second, and in the histogram for ever', () => {
    const setup = new Setup();
    setup.reporter.late(40);
    setup.pass(1000);
    assert.equal(setup.snapshot.eventLoopDelayMs.recentMax, 40);
    setup.sleep(60_000);
    const { recentMax, all, max } = setup.snapshot.eventLoopDelayMs;
    assert.deepEqual([recentMax, all.count, max], [0, 1, 40]);
  });

  test('its activity grows with what happens, not with heartbeats', () => {
    const setup = new Setup();
    const counts = [setup.reporter.activity];
    const note = () => counts.push(setup.reporter.activity);
    setup.world.publish(1, 'x');
    note();
    const consumer = setup.world.consumer(2);
    note();
    consumer.vanish();
    note();
    for (let i = 1; i < counts.length; i++) assert.ok(counts[i]! > counts[i - 1]!, `${counts}`);
    const before = setup.reporter.activity;
    setup.world.broker.counters.heartbeats++;
    setup.sleep(60_000);
    assert.equal(setup.reporter.activity, before);
  });
});

test('the free bytes of the disk are told, also of a folder that was renamed', async () => {
  const setup = new Setup();
  const known = async () => {
    while (setup.snapshot.log.diskFreeBytes === null) await new Promise(setImmediate);
  };
  await known();
  setup.dataDir = `${folder}.away`;
  renameSync(folder, setup.dataDir);
  after(() => rmSync(setup.dataDir, { recursive: true, force: true }));
  const asked = setup.asked;
  setup.pass(5000);
  assert.equal(setup.asked, asked + 1, 'the disk was asked about another folder');
  await known();
});
