// The chart: scales, and what is in the picture.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scaleFor, toChart } from '../../bench/chart.ts';
import type { Report } from '../../bench/report.ts';
import { absent, type Figure, figure } from '../../bench/samples.ts';

describe('scales', () => {
  test('linear from 0, with round steps, where rates are near each other', () => {
    const scale = scaleFor([700_000, 1_000_000, 1_900_000]);
    assert.match(scale.label, /linear scale from 0/);
    assert.deepEqual(scale.ticks, [0, 500_000, 1_000_000, 1_500_000, 2_000_000]);
    assert.equal(scale.at(0), 0);
    assert.equal(scale.at(1_000_000), 0.5);
    assert.equal(scale.at(2_000_000), 1);
  });

  test('logarithmic, and said so, where they are far apart', () => {
    const scale = scaleFor([5_000, 900_000]);
    assert.match(scale.label, /logarithmic/);
    assert.deepEqual(scale.ticks, [1e3, 1e4, 1e5, 1e6]);
    assert.ok(Math.abs(scale.at(1e4) - 1 / 3) < 1e-9);
    assert.equal(scale.at(1e6), 1);
    assert.equal(scale.at(0), 0);
  });

  test('nothing falls out of the picture', () => {
    for (const values of [[1], [3, 149], [1, 50], [999, 1e7], [10, 1000, 1e6]]) {
      const { at } = scaleFor(values);
      for (const value of values) assert.ok(at(value) >= 0 && at(value) <= 1, `${value}`);
    }
  });
});

function reportOf(...figures: Figure[]): Report {
  return {
    startedAt: '2026-01-02T03:04:05.000Z',
    version: '9.9.9',
    command: 'npm run bench -- peers --runs 3 --seconds 4',
    machine: {
      cpu: 'A <fast> processor & more',
      cores: 2,
      memoryGiB: 8,
      node: '20.20.2',
      kernel: 'Linux 6',
      filesystem: 'ext4',
      loadBefore: 0.2,
    },
    runs: 3,
    seconds: 4,
    warmupSeconds: 1,
    scenarios: [{ name: 'peers', title: 'the peers', figures }],
  };
}

const row = (system: string, guarantee: string, samples: number[]): Figure => ({
  ...figure(`publish: ${system}`, 'msg/s', samples),
  bar: { load: 'publish, 100 B', system, guarantee, ours: system === 'ThrustMQ' },
});

describe('the picture', () => {
  const report = reportOf(
    row('ThrustMQ', 'synced before the ack', [900_000, 1_000_000, 1_100_000]),
    row('Loose one', 'acked before the sync', [200_000, 250_000, 500_000]),
    absent('publish: Absent one', 'msg/s', 'absent: there is none'),
    figure('publish: ThrustMQ ÷ best', 'ratio', [4]),
    figure('something else', 'msg/s', [5]),
  );
  const svg = toChart(report);

  test('has systems, guarantees, medians, machine, date and scale, and needs nothing else', () => {
    for (const text of ['ThrustMQ', 'Loose one', 'synced before the ack', 'acked before the sync'])
      assert.ok(svg.includes(`>${text}</text>`), text);
    assert.match(svg, />1,000,000<.*>250,000</s);
    assert.match(svg, /A &#60;fast&#62; processor &#38; more, 2 cores, 8 GiB; Linux 6/);
    assert.match(svg, />2026-01-02; load before the run 0\.20<.*>npm run bench -- peers/s);
    assert.match(svg, />publish, 100 B<.*>msg\/s, linear scale from 0</s);
    assert.match(svg, />the peers</); // what has no bar of its own stands under its scenario
    assert.doesNotMatch(svg, /Absent one|÷|href|<script|url\(|@import/);
    assert.match(svg, /prefers-color-scheme: dark/);
  });

  test('draws bars as long as the medians, and whiskers from the least to the most', () => {
    const bars = [...svg.matchAll(/<rect class="(\w+)" x="(\d+)" y="\d+" width="([\d.]+)"/g)];
    assert.deepEqual(
      bars.map(([, kind]) => kind),
      ['ours', 'weak', 'ours'],
    );
    const widths = bars.map((found) => Number(found[3]));
    assert.ok(Math.abs(widths[0] / widths[1] - 4) < 0.01, `${widths}`);
    const [, left, right] = /class="whisker"[^>]* d="M([\d.]+) [^"]*H([\d.]+)M/.exec(svg)!;
    const zero = Number(bars[0][2]);
    assert.ok(Math.abs((Number(left) - zero) / widths[0] - 0.9) < 0.01);
    assert.ok(Math.abs((Number(right) - zero) / widths[0] - 1.1) < 0.01);
  });

  test('is well-formed', () => {
    const open: string[] = [];
    for (const [, closing, name, alone] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
      if (closing === '/') assert.equal(open.pop(), name);
      else if (alone !== '/') open.push(name);
    }
    assert.deepEqual(open, []);
    assert.doesNotMatch(svg, /&(?!#\d+;)/);
    assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
  });

  test('cannot be drawn from nothing', () => {
    const none = reportOf(absent('x', 'msg/s', 'absent'), figure('y', 'ms', [1]));
    assert.throws(() => toChart(none), /nothing to draw/);
  });
});
