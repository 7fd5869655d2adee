// Every scenario in its smallest version, so that none can rot. Figures are looked at for being
// there and fitting together, never for their size.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Bed } from '../../bench/bed.ts';
import { findNats } from '../../bench/cluster/servers.ts';
import type { Figure } from '../../bench/samples.ts';
import { SCENARIOS } from '../../bench/scenarios.ts';
import { DEFAULT_PLAN } from '../../src/load/plan.ts';
import { runLoad } from '../../src/load/run.ts';
import { plainEnvironment, Running } from '../support/process.ts';

const RUN = fileURLToPath(new URL('../../bench/run.js', import.meta.url));
const dir = await mkdtemp(join(tmpdir(), 'thrustmq-scenarios-'));
after(() => rm(dir, { recursive: true, force: true }));
const bedOf = (seconds: number) =>
  new Bed({
    dir,
    runs: 1,
    seconds,
    warmupSeconds: 0.1,
    idle: 20,
    messages: 40_000,
    many: 5,
    stock: 200e6,
    flags: ['--segment-size', '8MiB'],
    peers: [], // those of this machine are in peers.test.ts
    note: () => {},
  });
/** In the last of them something gets through also on a machine that has other work, too. */
const beds = [0.2, 1, 5].map(bedOf);
const [bed] = beds;

/** May be 0 in so short a time: nobody was idle long enough, nothing grew, or all was well. */
const MAY_BE_ZERO =
  /heartbeats|lag|processor time|wake-ups|resident|late, |its due|dead or lost|not deliv|bases/;

const needsNats = findNats() === undefined ? { skip: 'needs nats-server' } : {};

const nothing = ({ name, median }: Figure): boolean => !(median > 0) && !MAY_BE_ZERO.test(name);

describe('scenarios', () => {
  for (const { name, measure } of SCENARIOS)
    test(name, name.startsWith('cluster') ? needsNats : {}, async () => {
      let figures: Figure[] = [];
      for (const each of beds) {
        figures = await measure(each, () => {});
        if (!figures.some(nothing)) break;
      }
      assert.ok(figures.length >= 3);
      for (const each of figures) {
        assert.ok(each.samples.length > 0 && each.samples.every(Number.isFinite), each.name);
        assert.ok(!nothing(each), each.name);
      }
      if (name === 'publish' || name === 'end-to-end') {
        const [ceiling, broker, quotient] = figures;
        assert.equal(quotient.median, broker.median / ceiling.median);
      }
      assert.deepEqual(await readdir(dir), [], 'left behind');
    });
});

test('the relay loses, doubles, reorders and changes nothing', async () => {
  const relay = await bed.start('relay', { consumerBatchMessages: 64 });
  try {
    const { verify } = await runLoad({
      ...DEFAULT_PLAN,
      ...relay.ports,
      producers: 3,
      buckets: 2,
      consumers: 4,
      consumerBatchMessages: 64,
      batchMessages: 50,
      count: 20_000,
      warmupMs: 0,
      verify: true,
    });
    assert.equal(verify?.ok, true, JSON.stringify(verify));
  } finally {
    await relay.stop();
  }
});

describe('the program', () => {
  const run = (
    ...args: string[]
  ): Promise<{ code: number | null; stdout: string; stderr: string }> =>
    new Running(process.execPath, [RUN, ...args], { env: plainEnvironment() }).ended;

  test('runs what was asked for and writes samples, machine and command', async () => {
    const file = join(dir, 'results.json');
    const timing = ['--runs', '2', '--seconds', '0.1', '--warmup', '0'];
    const chart = join(dir, 'chart.svg');
    const out = ['--dir', dir, '--json', file, '--chart', chart];
    const { code, stdout, stderr } = await run('publish', ...timing, ...out);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /broker ÷ sink/);
    const report = JSON.parse(await readFile(file, 'utf8'));
    assert.equal(report.command, 'npm run bench -- publish --runs 2 --seconds 0.1 --warmup 0');
    assert.ok(report.machine.cores > 0 && report.machine.filesystem !== '');
    assert.equal(report.scenarios.length, 1);
    const { figures } = report.scenarios[0] as { figures: { samples: number[] }[] };
    assert.ok(figures.length > 0 && figures.every(({ samples }) => samples.length === 2));
    assert.match(await readFile(chart, 'utf8'), /^<svg .*broker, published.*<\/svg>\n$/s);
    await rm(file);
    await rm(chart);
    assert.deepEqual(await readdir(dir), []);
  });

  test('an unknown scenario is wrong usage', async () => {
    const { code, stderr } = await run('warp');
    assert.equal(code, 2);
    assert.match(stderr, /no scenario "warp"/);
  });

  test('a number that is none is wrong usage', async () => {
    assert.notEqual((await run('--runs', 'many')).code, 0);
    assert.match((await run('--peers', 'redis,kafka')).stderr, /There are: redis,nats,/);
  });
});
