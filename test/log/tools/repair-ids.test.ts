// `log repair` keeps what is known of messages that were published: those are stored once in the new
// log, too. Of what is lost nobody is told that it is stored.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { baseOf } from '../../../src/log/segments/segment.ts';
import { repairLog } from '../../../src/log/tools/repair.ts';
import { forgetRules, sharedEngine } from '../../support/engine.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { BUCKET, Story } from '../dedup-story.ts';
import { codec, indexOf, LOG_ID } from '../harness.ts';

const reader = sharedEngine('it only scans, and names the key first');

/** The new log of an old one, and how many messages are in it. */
async function repaired(
  old: MemoryFiles,
  wallMs: number,
): Promise<{ files: MemoryFiles; messages: number }> {
  indexOf(old).clear();
  forgetRules(codec);
  const files = new MemoryFiles();
  const target = { files, codec, newLogId: LOG_ID, wallMs: () => wallMs };
  const { saved } = await repairLog(old, reader, target, () => {});
  return { files, messages: saved.messages };
}

async function logOf(segments: number): Promise<{ story: Story; bodies: string[] }> {
  const story = new Story();
  await story.begin();
  return { story, bodies: await story.fill(segments) };
}

test('what was published is known in the new log, also when it is done', async () => {
  const { story, bodies } = await logOf(5);
  const some = bodies.slice(0, 30);
  await story.world.drain(BUCKET);
  const { files, messages } = await repaired(await story.world.close(), story.clock.wallMs);
  assert.equal(messages, 0);
  await story.begin(files);
  assert.ok((await story.send(BUCKET, ...some, 'new')).every((byte) => byte === 1));
  assert.equal(story.duplicates, some.length);
  assert.deepEqual(await story.world.drain(BUCKET), ['new']);
});

test('what need not be known any more is left out', async () => {
  const { story, bodies } = await logOf(3);
  const late = story.clock.wallMs + 3_600_000;
  const { files } = await repaired(await story.world.close(), late);
  await story.begin(files);
  assert.equal(story.world.broker.maintenance.windows.ids.count, 0);
  assert.deepEqual(await story.world.drain(BUCKET), bodies);
});

test('what is lost is stored when it is published again, and all else once', async () => {
  const { story, bodies } = await logOf(5);
  const old = await story.world.close();
  const names = old.names().filter((name) => (baseOf(name) ?? 0) > 0);
  for (const at of [6000, 14_000, 14_500, 20_000]) old.flip(names[1]!, at, 1);
  const { files, messages } = await repaired(old, story.clock.wallMs);
  assert.ok(messages < bodies.length && messages > bodies.length / 2, `${messages}`);
  await story.begin(files);
  const found = new Set(await story.world.drain(BUCKET));
  assert.equal(found.size, messages);
  for (let at = 0; at < bodies.length; at += 50)
    assert.ok((await story.send(BUCKET, ...bodies.slice(at, at + 50))).every((byte) => byte === 1));
  const again = await story.world.drain(BUCKET);
  for (const body of bodies) if (!found.has(body)) assert.ok(again.includes(body), `lost ${body}`);
  const twice = again.filter((body) => found.has(body));
  // Others of the batches of which something is lost.
  assert.ok(twice.length < 60, `${twice.length} stored twice`);
  assert.ok(story.duplicates > messages - 60);
});
