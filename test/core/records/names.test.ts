// Every kind and reason that a valid record may hold has a name, and no two have the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KIND_MAX, REASON_MAX } from '../../../assembly/layout-placed.ts';
import { KIND_NAMES, REASON_NAMES } from '../../../src/core/records/names.ts';

test('kinds and reasons are named, each by a word of its own', () => {
  const kinds = Array.from({ length: KIND_MAX + 1 }, (_, kind) => KIND_NAMES[kind]);
  const reasons = Array.from({ length: REASON_MAX }, (_, i) => REASON_NAMES[i + 1]);
  for (const names of [kinds, reasons]) {
    assert.ok(names.every((name) => /^[a-z-]+$/.test(name ?? '')));
    assert.equal(new Set(names).size, names.length);
  }
});
