// What the model says is owed to a consumer when a world is at rest.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Checker } from './checker.ts';
import type { Message } from './model.ts';
import { givable } from './virtual.ts';

const STORED_MS = 1_000_000;
const TTL_MS = 4000;

test('what is too old and cannot be moved on a full disk holds back what is behind it', () => {
  const old = { bucket: 7, isDead: false, storedMs: STORED_MS, doubtful: false } as Message;
  const young = { ...old, storedMs: STORED_MS + TTL_MS } as Message;
  const owed = (line: Message[], isLimited: boolean, kept: { expired?: string } = {}) => {
    const bounds = { ttl: TTL_MS, dead_keep: 0, expired: 'dead', dead_letter: 9, ...kept };
    const checker = {
      deaths: { isDoomed: () => false },
      lines: { of: () => line },
      rules: { of: () => bounds, isFull: () => false },
      isHeldInOrder: () => false,
      wall: () => STORED_MS + TTL_MS,
    };
    return givable(checker as unknown as Checker, 7, 7, isLimited);
  };
  assert.equal(owed([old, young], true), 0);
  assert.equal(owed([young], true), 1);
  assert.equal(owed([old, young], false), 2, 'there is room for it');
  assert.equal(owed([old, young], true, { expired: 'drop' }), 2, 'it needs none');
});
