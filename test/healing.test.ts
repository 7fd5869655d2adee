// A log that is damaged, or lost, is set aside where it can be built again, and an empty one is
// opened; what may be whole is refused as ever, and stays where it is.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { DataFolder } from '../src/data-folder.ts';
import { openHealing } from '../src/healing.ts';
import type { Logger } from '../src/io/logger.ts';
import { LogError } from '../src/log/files/errors.ts';
import { refuseLost } from '../src/log/recovery/earlier.ts';
import { takeInventory } from '../src/log/recovery/recovery.ts';

const root = fs.mkdtempSync(path.join(tmpdir(), 'thrustmq-healing-'));
after(() => fs.rmSync(root, { recursive: true, force: true }));

const NOW = new Date('2026-01-02T03:04:05.678Z');
const SEGMENT = '00000000000000000000.log';

/** Opens the data folder `name`, whose log has a segment of these bytes, or has none. */
function folderOf(name: string, segment?: string): { folder: DataFolder; lines: string[] } {
  const dataDir = path.join(root, name);
  fs.mkdirSync(path.join(dataDir, 'index'), { recursive: true });
  fs.writeFileSync(path.join(dataDir, 'index', 'any'), '');
  if (segment !== undefined) {
    fs.mkdirSync(path.join(dataDir, 'log'));
    fs.writeFileSync(path.join(dataDir, 'log', SEGMENT), segment);
  }
  const lines: string[] = [];
  const note = (_fields: object, text: string) => void lines.push(text);
  const log = { error: note, warn: note } as unknown as Logger;
  const config = { dataDir, unsafeNoLock: true, requireData: false };
  return { folder: new DataFolder({ config, log, version: 'test' }), lines };
}

async function heal({ folder, lines }: ReturnType<typeof folderOf>): Promise<string[]> {
  const log = { error: (_fields: object, text: string) => void lines.push(text) };
  const { segments } = await openHealing(folder, log as unknown as Logger, () => NOW, open);
  return segments.map(({ name }) => name);

  async function open(traces: readonly string[]) {
    const inventory = await takeInventory(folder.files('log'));
    refuseLost(inventory, traces);
    return inventory;
  }
}

const openFiles = () =>
  fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const to = fs.readlinkSync(`/proc/self/fd/${fd}`);
      return to.startsWith(root) ? [path.relative(root, to)] : [];
    } catch {
      return [];
    }
  });

test('a damaged log is set aside, closed, and an empty one is opened', async () => {
  const opened = folderOf('damaged', 'no segment');
  assert.deepEqual(await heal(opened), []);
  const names = fs.readdirSync(path.join(root, 'damaged')).sort();
  assert.deepEqual(names, ['log', 'log.damaged-20260102T030405Z']);
  const aside = path.join(root, 'damaged', names[1]!, SEGMENT);
  assert.equal(fs.readFileSync(aside, 'utf8'), 'no segment');
  assert.match(opened.lines.at(-1)!, /it is in log\.damaged-20260102T030405Z now.*built again/);
  if (fs.existsSync('/proc/self/fd'))
    assert.deepEqual(
      openFiles().filter((name) => name.includes('log.damaged')),
      [],
    );
  // Once more within the same second.
  fs.writeFileSync(path.join(root, 'damaged', 'log', SEGMENT), 'nor this');
  assert.deepEqual(await heal(opened), []);
  assert.ok(fs.existsSync(path.join(root, 'damaged', 'log.damaged-20260102T030405Z-2')));
  opened.folder.release();
});

test('one of which only its indexes are left is begun anew', async () => {
  const opened = folderOf('lost');
  assert.deepEqual(await heal(opened), []);
  assert.match(opened.lines.at(-1)!, /it is begun anew/);
  assert.deepEqual(fs.readdirSync(path.join(root, 'lost')), ['log']);
  opened.folder.release();
});

test('what may be whole is refused, and nothing is moved', async () => {
  const { folder } = folderOf('whole', 'kept');
  for (const code of ['version', 'other', 'io', 'lost'] as const) {
    const error = new LogError(code, 'as ever');
    const log = { error: assert.fail } as unknown as Logger;
    const refused = openHealing(
      folder,
      log,
      () => NOW,
      () => Promise.reject(error),
    );
    await assert.rejects(refused, error);
  }
  assert.deepEqual(fs.readdirSync(path.join(root, 'whole')).sort(), ['index', 'log']);
  folder.release();
});
