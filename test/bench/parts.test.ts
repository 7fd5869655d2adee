// The parts of the benchmarks that compute: samples, machine, report, and the relay's squeezing.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { shareBetween } from '../../bench/commits.ts';
import { parseStat } from '../../bench/cpu.ts';
import { filesystemOf } from '../../bench/machine.ts';
import { ProducerStream } from '../../bench/relaying.ts';
import { type Report, replaceResults, toMarkdown, toTable } from '../../bench/report.ts';
import { absent, figure, format, median, ratio } from '../../bench/samples.ts';
import {
  BatchDecoder,
  encodeBatch,
  encodeDelivery,
  encodeGoodbye,
  lengthBytes,
  type Wire,
} from '../../src/codec/wire.ts';

describe('samples', () => {
  test('median, least, most and multiple', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    const { min, max, multipleOf28k } = figure('x', 'msg/s', [56_000, 14_000, 28_000]);
    assert.deepEqual([min, max, multipleOf28k], [14_000, 56_000, 1]);
    assert.equal(figure('x', 'ms', [1]).multipleOf28k, undefined);
    assert.throws(() => figure('x', 'ms', []), RangeError);
  });

  test('ratios are of pairs', () => {
    assert.deepEqual(ratio('x', [1, 4, 9], [2, 4, 3]).samples, [0.5, 1, 3]);
    assert.equal(ratio('x', [1, 4, 9], [2, 4, 3]).median, 1);
    assert.throws(() => ratio('x', [1], [1, 2]), RangeError);
  });

  test('values as tables show them', () => {
    assert.equal(format(1_234_567.8, 'msg/s'), '1,234,568');
    assert.equal(format(0.14159, 'ms'), '0.142');
    assert.equal(format(0.654, 'ratio'), '0.65');
  });
});

test('the file system is that of the longest mount point', () => {
  const mounts = [
    '/dev/a / ext4 rw,relatime,data=ordered 0 0',
    'tmpfs /tmp tmpfs rw 0 0',
    '/dev/b /tmp/deep\\040er xfs rw 0 0',
    '/dev/c /tmporary btrfs rw 0 0',
  ].join('\n');
  assert.equal(filesystemOf('/home/x', mounts), 'ext4 data=ordered');
  assert.equal(filesystemOf('/tmp/x', mounts), 'tmpfs');
  assert.equal(filesystemOf('/tmp/deep er/x', mounts), 'xfs');
  assert.equal(filesystemOf('/x', ''), 'unknown');
});

test('session and processor time of a process, whatever it is called', () => {
  const rest = 'S 1 70 71 0 -1 0 1 2 3 4 150 25 9 9 20 0 1 0';
  assert.deepEqual(parseStat(`72 (a) S (b c) ${rest}`), { session: 71, cpuMs: 1750 });
});

test('the share of a window that went into commits', () => {
  assert.equal(shareBetween({ atMs: 1000, busyMs: 50 }, { atMs: 3000, busyMs: 1550 }), 0.75);
  assert.equal(shareBetween({ atMs: 1000, busyMs: 50 }, { atMs: 1000, busyMs: 50 }), undefined);
});

describe('report', () => {
  const report: Report = {
    startedAt: '2026-01-02T03:04:05.000Z',
    version: '9.9.9',
    command: 'npm run bench -- --runs 3 --seconds 4',
    machine: {
      cpu: 'A processor',
      cores: 2,
      memoryGiB: 8,
      node: '20.20.2',
      kernel: 'Linux 6',
      filesystem: 'ext4',
      loadBefore: 0.9,
    },
    runs: 3,
    seconds: 4,
    warmupSeconds: 1,
    scenarios: [
      {
        name: 'publish',
        title: 'publish',
        figures: [
          figure('broker', 'msg/s', [280_000, 560_000, 560_000]),
          figure('broker ÷ sink', 'ratio', [0.5]),
        ],
      },
    ],
  };

  test('a table and the Markdown hold figures, machine and command', () => {
    assert.match(
      toTable(report.scenarios[0]),
      /broker +│ +560,000 │ +280,000 – 560,000 │ msg\/s │ +20\.0 │/,
    );
    const text = toMarkdown(report);
    assert.match(text, /^Measured 2026-01-02 .*`npm run bench -- --runs 3 --seconds 4`/);
    assert.match(text, /A processor, 2 cores, 8 GiB; Linux 6; Node\.js 20\.20\.2; ext4/);
    assert.match(text, /others were working too/);
    assert.match(text, /\| broker \| 560,000 \| 280,000 – 560,000 \| msg\/s \| 20\.0 \|/);
    assert.match(text, /\| broker ÷ sink \| 0\.50 \| {2}\| {2}\| {2}\|/);
  });

  test('notes and what is absent have a column of their own, remarks stand below', () => {
    const figures = [
      { ...figure('a', 'msg/s', [28_000]), note: 'synced' },
      absent('b', 'msg/s', 'absent: there is none'),
    ];
    const measured = { name: 'peers', title: 'peers', figures, remarks: ['A remark.'] };
    assert.match(
      toTable(measured),
      / 1\.0 │ synced .*│ b +│ +– │.*absent: there is none.*A remark\./s,
    );
    const text = toMarkdown({ ...report, scenarios: [measured] });
    assert.match(text, /\| a \| 28,000 \| {2}\| msg\/s \| 1\.0 \| synced \|/);
    assert.match(text, /\| b \| – \|.*\| absent: there is none \|\n\n- A remark\.$/);
  });

  test('the README has one marked section, which is replaced and nothing else', async () => {
    const readme = await readFile(new URL('../../../bench/README.md', import.meta.url), 'utf8');
    const once = replaceResults(readme, 'new results');
    assert.notEqual(once, readme);
    assert.equal(replaceResults(once, 'new results'), once);
    const [before, after] = readme.split(/<!-- results:begin -->.*<!-- results:end -->/s);
    assert.ok(once.startsWith(before) && once.endsWith(after));
    assert.throws(() => replaceResults('no marks', 'x'), /missing/);
  });
});

for (const wire of ['u64', 'u32'] as Wire[])
  describe(`the relay's squeezing, ${wire}`, () => {
    const bodies = ['a', 'second', '', 'the fourth one is longer', 'e'];
    const messages = bodies.map((text, index) => ({
      bucket: index < 3 ? 1n : 2n ** 32n + 2n,
      body: new TextEncoder().encode(text),
    }));
    const batch = encodeBatch(messages, wire);
    const stream = Buffer.concat([batch, batch, encodeGoodbye()]);

    /** Deliveries by bucket, and acks, when the stream comes in chunks of `size`. */
    function squeeze(size: number, room: number): { out: Map<number, string>; acks: number[] } {
      const parts = new Map<number, Uint8Array[]>();
      const acks: number[] = [];
      const cutter = new ProducerStream(8 + lengthBytes(wire), {
        run: (bucket, bytes, count) => {
          assert.ok(count <= room);
          parts.set(bucket, [...(parts.get(bucket) ?? []), Uint8Array.from(bytes)]);
        },
        ack: (count) => acks.push(count),
        room: () => room,
      });
      for (let at = 0; at < stream.length; at += size)
        cutter.push(Uint8Array.from(stream.subarray(at, at + size)));
      const hex = [...parts].map(([bucket, list]): [number, string] => [
        bucket,
        Buffer.concat(list).toString('hex'),
      ]);
      return { out: new Map(hex), acks };
    }

    test('what codec would deliver, at every chunk size', () => {
      assert.equal(new BatchDecoder(wire).push(Uint8Array.from(stream)).length, 3);
      const of = (bucket: bigint): string => {
        const own = messages.filter((message) => message.bucket === bucket);
        const twice = [...own, ...own].map(({ body }) => body);
        return Buffer.from(encodeDelivery(twice, wire).subarray(4)).toString('hex');
      };
      const expected = new Map([
        [1, of(1n)],
        [2 ** 32 + 2, of(2n ** 32n + 2n)],
      ]);
      for (const room of [1, 2, 1000])
        for (let size = 1; size <= stream.length; size++) {
          const { out, acks } = squeeze(size, room);
          assert.deepEqual(out, expected, `chunks of ${size}, room for ${room}`);
          assert.deepEqual(acks, [5, 5, 0]);
        }
    });
  });
