// A folder gets a log as a whole or not at all, whatever an earlier process left of one.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { buildLogIn, removeUnfinished } from '../../../src/io/cluster/build-folder.ts';
import { segmentName } from '../../../src/log/segments/segment.ts';
import { buildingOf, Maker, MemoryObjects, RecordedStream } from '../../log/base/harness.ts';
import { record } from '../../log/following/harness.ts';
import { temporaryFolder } from '../../support/broker.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('io/cluster/build-folder.test');
const batches = await record(new Random(seed), 1, 110, true);

async function withBase() {
  const stream = new RecordedStream(batches);
  stream.carry(batches.length);
  const maker = await Maker.after(batches, batches.length, stream, stream.epoch);
  const objects = new MemoryObjects();
  const made = (await maker.make(objects))!;
  await maker.copy.follower.close();
  return { stream, objects, made };
}

const namesIn = (...folder: string[]) => fs.readdirSync(path.join(...folder)).sort();

test('the folder has the log when it is whole; what was left of another try is gone', async () => {
  const { stream, objects, made } = await withBase();
  const dataDir = temporaryFolder();
  for (const left of ['log.building', 'index', 'log']) fs.mkdirSync(path.join(dataDir, left));
  fs.writeFileSync(path.join(dataDir, 'log.building', segmentName(4096)), 'half');
  fs.writeFileSync(path.join(dataDir, 'index', 'checkpoint'), 'of another log');
  const found = await buildLogIn(dataDir, buildingOf(objects, stream));
  assert.equal(found?.end, made.end);
  assert.deepEqual(namesIn(dataDir), ['log']);
  assert.equal(namesIn(dataDir, 'log').length, made.segments + 1);
  assert.equal(namesIn(dataDir, 'log').at(-1), segmentName(made.end - 4096));
  await assert.rejects(buildLogIn(dataDir, buildingOf(objects, stream)), /has a log already/);
  assert.equal(namesIn(dataDir, 'log').length, made.segments + 1);
});

test('where nothing is to be built, or it fails, nothing is left', async () => {
  const { stream, objects } = await withBase();
  const dataDir = temporaryFolder();
  const empty = new RecordedStream(batches);
  assert.equal(await buildLogIn(dataDir, buildingOf(undefined, empty)), undefined);
  assert.deepEqual(namesIn(dataDir), []);
  let fetched = 0;
  objects.before = (call) => {
    if (call.startsWith('get segment') && fetched++ > 0) throw new Error('no answer');
  };
  await assert.rejects(buildLogIn(dataDir, buildingOf(objects, stream)), /no answer/);
  assert.ok(fetched > 1);
  assert.deepEqual(namesIn(dataDir), []);
  fs.mkdirSync(path.join(dataDir, 'log.building'));
  removeUnfinished(dataDir);
  assert.deepEqual(namesIn(dataDir), []);
});
