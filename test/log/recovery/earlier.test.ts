// What tells a lost log from a first start.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FileLog } from '../../../src/log/file-log.ts';
import { LogError } from '../../../src/log/files/errors.ts';
import { refuseLost, tracesOf } from '../../../src/log/recovery/earlier.ts';
import { COMPACT_NAME, fillName, NEXT_NAME, spareName } from '../../../src/log/segments/segment.ts';
import { Folder } from '../../support/folder.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { Collector, logOptions } from '../harness.ts';

test('what comes to be only when a log is there is a trace of one', () => {
  assert.deepEqual(tracesOf([], [], false), []);
  assert.deepEqual(tracesOf(['LOCK', 'log', 'index', 'thrustmq.toml'], [NEXT_NAME], false), []);
  assert.deepEqual(
    tracesOf(['LOCK', 'runtime.json', 'paused.json'], [NEXT_NAME, spareName(0)], true),
    ['index', 'log/spare-0.tmp', 'paused.json', 'runtime.json'],
  );
  const leftovers = [NEXT_NAME, COMPACT_NAME, fillName(1)];
  refuseLost({ segments: [], leftovers }, []);
  assert.throws(() => refuseLost({ segments: [], leftovers: [spareName(0)] }, ['index']), {
    code: 'missing',
    message: /\(log\/spare-0\.tmp, index\).*remove from the data folder: log\/spare-0\.tmp, index$/,
  });
});

test('a log with traces and no segment is refused, and nothing is changed', async () => {
  for (const [name, traces] of [
    [spareName(0), []],
    ['notes.txt', ['index']],
  ] as const) {
    const files = new MemoryFiles();
    files.put(name, new Uint8Array(10));
    const options = { ...logOptions(files, new Folder(files, 'index'), {}, [], []), traces };
    await assert.rejects(
      FileLog.open(options, new Collector()),
      (error) => error instanceof LogError && error.code === 'missing',
    );
    assert.equal(files.changes, 0);
    assert.deepEqual(files.names(), [name]);
  }
  const files = new MemoryFiles();
  files.put('notes.txt', new Uint8Array(10));
  const { log } = await FileLog.open(
    logOptions(files, new Folder(files, 'index'), {}, [], []),
    new Collector(),
  );
  await log.close();
});
