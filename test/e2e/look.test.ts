// The tools that look into a log, on the folder of a broker at work: what moves under their eyes is
// no damage, and what is damaged is.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { SEGMENT_DATA_AT } from '../../assembly/layout.ts';
import type { VerifyReport } from '../../src/log/tools/verify.ts';
import { startBroker, temporaryFolder } from '../support/broker.ts';
import { thrustmq } from '../support/process.ts';
import { SMALL_SEGMENTS, Traffic } from '../support/traffic.ts';

const LOOKS = 10;

async function look(dataDir: string, verb: string): Promise<{ code: number | null; text: string }> {
  const { code, stdout, stderr } = await thrustmq(['log', verb, '--json', '--data-dir', dataDir]);
  return { code, text: verb === 'dump' ? stderr : stdout };
}

test('thirty looks or more at a busy log: none of them finds damage, until there is some', {
  timeout: 180_000,
}, async () => {
  const dataDir = temporaryFolder();
  await using broker = await startBroker({ dataDir, flags: SMALL_SEGMENTS });
  const traffic = new Traffic(broker);
  await traffic.reached(5000);
  let moved = 0;
  // A fast look at a slow broker sees nothing move: so it goes on until one does.
  for (let nth = 0; nth < LOOKS || moved === 0; nth++) {
    const { code, text } = await look(dataDir, 'verify');
    const report = JSON.parse(text) as VerifyReport & { running: boolean };
    assert.equal(code, 0, text);
    assert.deepEqual([report.verdict === 'damaged', report.running], [false, true]);
    moved += report.moved.length;
    const stat = await look(dataDir, 'stat');
    assert.equal(stat.code, 0, stat.text);
    const dump = await look(dataDir, 'dump');
    assert.equal(dump.code, 0, dump.text);
  }
  // The oldest segment is complete: the messages that wait are in it, and it is compacted already
  // or cannot be any more once it is damaged.
  const log = path.join(dataDir, 'log');
  let damaged: { code: number | null; text: string } = { code: 0, text: '' };
  for (let nth = 0; nth < LOOKS && damaged.code === 0; nth++) {
    const [oldest] = fs
      .readdirSync(log)
      .filter((name) => name.endsWith('.log'))
      .sort();
    const file = fs.openSync(path.join(log, oldest!), 'r+');
    const byte = Buffer.alloc(1);
    fs.readSync(file, byte, 0, 1, SEGMENT_DATA_AT + 200);
    byte[0]! ^= 1;
    fs.writeSync(file, byte, 0, 1, SEGMENT_DATA_AT + 200);
    fs.closeSync(file);
    // A compaction that had read it already takes its place: then the next one is damaged.
    damaged = await look(dataDir, 'verify');
  }
  assert.equal(damaged.code, 1, damaged.text);
  const { verdict, bad } = JSON.parse(damaged.text) as VerifyReport;
  assert.deepEqual([verdict, bad.some((range) => range.verdict === 'damaged')], ['damaged', true]);
  await traffic.stop();
  assert.equal(await broker.stop(), 0);
});
