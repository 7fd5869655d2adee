// Objects that are put and read as a whole, however their store cuts them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getWhole, type ObjectStore, putWhole } from '../../../src/log/base/objects.ts';

function store(pieceBytes: number): Pick<ObjectStore, 'put' | 'get'> {
  const held = new Map<string, Uint8Array>();
  return {
    put: async (name, pieces) => {
      for await (const piece of pieces) held.set(name, piece.slice());
      return { digest: '', bytes: held.get(name)!.length };
    },
    get: async (name, take) => {
      const bytes = held.get(name);
      if (bytes === undefined) return undefined;
      const piece = new Uint8Array(pieceBytes); // the same each time, as a store may do
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        piece.set(bytes.subarray(at, at + pieceBytes));
        await take(piece.subarray(0, Math.min(pieceBytes, bytes.length - at)));
      }
      return { digest: '', bytes: bytes.length };
    },
  };
}

test('it comes back as it was, in whatever pieces', async () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
  for (const pieceBytes of [1, 7, 250, 1000, 4000]) {
    const objects = store(pieceBytes);
    assert.equal((await putWhole(objects, 'one', bytes)).bytes, bytes.length);
    assert.deepEqual(await getWhole(objects, 'one'), bytes);
    assert.equal(await getWhole(objects, 'two'), undefined);
  }
  const objects = store(1);
  await putWhole(objects, 'empty', new Uint8Array(0));
  assert.deepEqual(await getWhole(objects, 'empty'), new Uint8Array(0));
});
