// The files of a compaction that is given up: what was lent comes back as it was, what was made
// goes, and a disk that refuses that changes nothing about why.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compact } from '../../../src/log/compaction/compact.ts';
import { abandon, cutBack, drop } from '../../../src/log/compaction/swap.ts';
import { open } from '../../../src/log/files/promises.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { Random, seedOf } from '../../support/random.ts';
import { ModelLog } from '../compacting.ts';

const random = new Random(seedOf('log/compaction/swap.test'));
const BYTES = 16 * 1024;

test('a spare that more was written into is cut to what it was, if the disk allows', async () => {
  for (const code of [undefined, 'EIO']) {
    const files = new MemoryFiles();
    files.put('spare-0.tmp', new Uint8Array(3 * BYTES).fill(1));
    const { handle } = await open(files, 'spare-0.tmp');
    const spare = { name: 'spare-0.tmp', handle, bytes: BYTES };
    await cutBack(files, spare, BYTES);
    assert.equal(files.count('truncate'), 0, 'there is nothing to cut');
    if (code !== undefined) files.fail({ op: 'truncate', nth: 1, code });
    await cutBack(files, spare, BYTES + 1);
    assert.equal(files.count('truncate'), 1);
    assert.equal(files.image('spare-0.tmp').length, code === undefined ? BYTES : 3 * BYTES);
  }
});

test('what was made and is not wanted any more: its own file goes, a spare stays', async () => {
  for (const lent of [false, true]) {
    const log = new ModelLog(random, 4);
    log.settleMost();
    const { files } = log;
    files.put('spare-0.tmp', new Uint8Array(BYTES).fill(0xee));
    const before = files.names();
    const { handle } = await open(files, 'spare-0.tmp');
    const into = { name: 'spare-0.tmp', handle, bytes: BYTES };
    const options = await log.options(0, 3);
    const made = (await compact(lent ? { ...options, into } : options))!;
    assert.deepEqual(files.names(), lent ? before : ['compact.tmp', ...before].sort());
    await abandon(files, made, lent ? into : undefined);
    assert.deepEqual(files.names(), before);
    assert.equal(files.image('spare-0.tmp').length, BYTES);
    // Of the spare the handle is the lender's.
    const open_ = options.segments.length + 1;
    assert.equal(files.openHandles, open_);
    await log.check('afterwards');
  }
});

test('a file is removed although it could not be closed, and nothing is thrown', async () => {
  for (const op of ['close', 'remove'] as const) {
    const files = new MemoryFiles();
    files.put('compact.tmp', new Uint8Array(9));
    const { handle } = await open(files, 'compact.tmp');
    const fault = files.fail({ op, nth: 1, code: 'EIO' });
    await drop(files, 'compact.tmp', handle);
    assert.equal(fault.fired, 1);
    assert.deepEqual(files.names(), op === 'close' ? [] : ['compact.tmp']);
  }
});
