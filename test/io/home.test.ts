// A data folder that is held open: where it is, and whether it can still be reached.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { NodeFiles } from '../../src/io/files.ts';
import { Home } from '../../src/io/home.ts';
import type { Leads } from '../../src/log/files/files.ts';
import { list, open, settle } from '../../src/log/files/promises.ts';

const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'thrustmq-home-')));
after(() => fs.rmSync(root, { recursive: true, force: true }));

const newFolder = () => fs.mkdtempSync(path.join(root, 'data-'));
const linux = process.platform === 'linux' ? {} : { skip: 'needs /proc' };

function leadsOf(home: Home): Promise<Leads> {
  return new Promise((resolve, reject) =>
    home.check((failure, leads) => (failure === undefined ? resolve(leads) : reject(failure))),
  );
}

test('deleted, replaced and mounted over are told from renamed', linux, async () => {
  const folder = newFolder();
  const moves: string[] = [];
  const home = new Home(folder, (now) => moves.push(now));
  assert.equal(await leadsOf(home), 'to it');
  fs.renameSync(folder, `${folder}.away`);
  assert.equal(await leadsOf(home), 'to it');
  assert.deepEqual([home.path, moves], [`${folder}.away`, [`${folder}.away`]]);
  fs.mkdirSync(folder);
  assert.equal(await leadsOf(home), 'to it', 'another folder at its old place is another one');
  fs.rmdirSync(`${folder}.away`);
  assert.equal(await leadsOf(home), 'nowhere');
  fs.mkdirSync(`${folder}.away`);
  assert.equal(await leadsOf(home), 'elsewhere');
  assert.equal(moves.length, 1);
  home.close();
});

test(
  'a folder by way of a link that leads elsewhere later is still the folder',
  linux,
  async () => {
    const folder = newFolder();
    const link = `${folder}.link`;
    fs.symlinkSync(folder, link);
    const home = new Home(link, () => {});
    assert.equal(await leadsOf(home), 'to it');
    fs.rmSync(link);
    fs.symlinkSync(newFolder(), link);
    assert.equal(await leadsOf(home), 'to it');
    assert.equal(home.path, folder);
    home.close();
  },
);

test('files know where their names and their folder lead, and make nothing in another one', async () => {
  const folder = path.join(newFolder(), 'log');
  const files = new NodeFiles(folder);
  await list(files);
  const make = (name: string) =>
    new Promise<number>((resolve, reject) =>
      files.open(name, true, (failure, handle) => (failure ? reject(failure) : resolve(handle))),
    );
  const handle = await make('a');
  const follow = (name: string) =>
    new Promise<Leads>((resolve) =>
      files.follow(name, handle, (_failure, leads) => resolve(leads)),
    );
  const directory = () =>
    new Promise<[Leads, string[] | undefined]>((resolve) =>
      files.followDirectory((_failure, leads, names) => resolve([leads, names])),
    );
  assert.equal(await follow('a'), 'to it');
  assert.deepEqual(await directory(), ['to it', ['a']]);
  await settle((done) => files.rename('a', 'b', done));
  assert.deepEqual([await follow('a'), await follow('b')], ['nowhere', 'to it']);
  for (let i = 0; i < 10; i++) await directory();
  assert.deepEqual(await directory(), ['to it', undefined], 'read again although nothing changed');
  fs.writeFileSync(path.join(folder, 'c'), '');
  assert.deepEqual(await directory(), ['to it', ['b', 'c']]);
  fs.renameSync(path.join(folder, 'c'), path.join(folder, 'b'));
  assert.equal(await follow('b'), 'elsewhere');

  fs.renameSync(folder, `${folder}.away`);
  assert.deepEqual(await directory(), ['nowhere', undefined]);
  fs.mkdirSync(folder);
  fs.writeFileSync(path.join(folder, 'theirs'), '');
  assert.deepEqual(await directory(), ['elsewhere', undefined]);
  await assert.rejects(make('d'), /is not the folder any more that it was/);
  await assert.rejects(
    settle((done) => files.remove('theirs', done)),
    /not the folder any more/,
  );
  await assert.rejects(
    settle((done) => files.rename('theirs', 'ours', done)),
    /not the folder any more/,
  );
  assert.deepEqual(fs.readdirSync(folder), ['theirs']);
  await settle((done) => files.close(handle, done));
  const closed = await new Promise<Error | undefined>((resolve) =>
    files.follow('b', handle, (failure) => resolve(failure)),
  );
  assert.match(closed!.message, /not open/);
  files.letGo();
  // Whoever has listed nothing holds nothing.
  assert.ok((await open(files, 'theirs')).handle > 0);
});
