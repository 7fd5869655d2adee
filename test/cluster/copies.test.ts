// What nodes tell of their copies of a log: remembered before it is told, read as it was told, and
// taken back by whoever may have told it; what cannot be read was not told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  mayBeTold,
  type ToldCopy,
  takeBackCopy,
  tellCopy,
  toldCopies,
} from '../../src/cluster/copies.ts';
import { PlaceFile, type Remembered } from '../../src/cluster/place-file.ts';
import { type ObjectStore, putWhole } from '../../src/log/base/objects.ts';
import { temporaryFolder } from '../support/broker.ts';

const KNOWN: Remembered = {
  cluster: 'prod',
  node: 2,
  created: '2026-01-01T00:00:00.123456789Z',
  logId: '5',
  place: { sequence: 7, epoch: 3, end: 8192, serial: 1 },
  segments: [],
  nodes: [1, 2],
};

const copy = (node: number): ToldCopy => ({
  node,
  logId: '0000000000000005',
  epoch: 3,
  end: 8192,
  sequence: 70,
  nodes: [1, 2],
  writtenAt: '2026-01-02T00:00:00.000Z',
  toldAt: '2026-01-03T00:00:00.000Z',
});

function objects(putting: () => void = () => {}): ObjectStore {
  const held = new Map<string, Uint8Array>();
  return {
    held: async () => ({ names: [...held.keys()], unfinished: [], bytes: 0 }),
    put: async (name, pieces) => {
      putting();
      for await (const piece of pieces) held.set(name, piece);
      return { digest: '', bytes: held.get(name)!.length };
    },
    get: async (name, take) => {
      const bytes = held.get(name);
      if (bytes === undefined) return undefined;
      await take(bytes);
      return { digest: '', bytes: bytes.length };
    },
    remove: async (name) => void held.delete(name),
  };
}

test('it is remembered before it is told', async () => {
  const folder = temporaryFolder();
  const file = new PlaceFile(() => folder);
  let seen: Remembered | undefined;
  const store = objects(() => {
    seen = new PlaceFile(() => folder).read();
  });
  assert.equal(mayBeTold(KNOWN), false);
  await tellCopy(store, copy(2), file, KNOWN);
  assert.deepEqual(seen, { ...KNOWN, isTold: true });
  assert.equal(mayBeTold(seen), true);
  assert.deepEqual(await toldCopies(store), [copy(2)]);
});

test('a node that remembers nothing may have told of a log that it had', async () => {
  const folder = temporaryFolder();
  const file = new PlaceFile(() => folder);
  const store = objects();
  await tellCopy(store, copy(2), file, undefined);
  assert.equal(file.read(), undefined, 'without a stream that it knows there is nothing to keep');
  assert.equal(mayBeTold(undefined), true);
});

test('what is taken back is gone, and only that', async () => {
  const folder = temporaryFolder();
  const file = new PlaceFile(() => folder);
  const store = objects();
  await putWhole(store, 'segment-1', new Uint8Array(3));
  for (const node of [3, 1, 12]) await tellCopy(store, copy(node), file, undefined);
  assert.deepEqual(
    (await toldCopies(store)).map(({ node }) => node),
    [1, 3, 12],
  );
  await takeBackCopy(store, 1);
  await takeBackCopy(store, 1);
  await takeBackCopy(undefined, 1);
  assert.deepEqual((await store.held()).names, ['segment-1', 'copy-3', 'copy-12']);
});

test('what cannot be read was not told', async () => {
  const store = objects();
  const texts = [
    '',
    'null',
    '{}',
    JSON.stringify({ format: 2, ...copy(1) }),
    JSON.stringify({ format: 1, ...copy(2) }), // that of another node
    JSON.stringify({ format: 1, ...copy(1), end: -0.5 }),
    JSON.stringify({ format: 1, ...copy(1), nodes: ['x'] }),
    JSON.stringify({ format: 1, ...copy(1), logId: 5 }),
  ];
  for (const text of texts) {
    await putWhole(store, 'copy-1', Buffer.from(text));
    assert.deepEqual(await toldCopies(store), [], text);
  }
  const broken = { ...store, get: () => Promise.reject(new Error('a piece is gone')) };
  assert.deepEqual(await toldCopies(broken), []);
});
