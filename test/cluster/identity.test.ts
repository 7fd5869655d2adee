// What a node tells the others of itself: where its dashboard is, if they can reach it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dashboardAddress } from '../../src/cluster/identity.ts';

test('a dashboard is told of where others can reach it, and as they do', () => {
  const at = (host: string, advertised: string, port = 3888, enabled = true) =>
    dashboardAddress({ enabled, host, port }, advertised);
  assert.equal(at('10.0.0.1', '10.0.0.1'), '10.0.0.1:3888');
  assert.equal(at('0.0.0.0', '10.0.0.1'), '10.0.0.1:3888');
  assert.equal(at('::', 'fd00::1'), '[fd00::1]:3888');
  assert.equal(at('127.0.0.1', '127.0.0.1'), '127.0.0.1:3888');
  assert.equal(at('127.0.0.1', '10.0.0.1'), null, 'it would be that of whoever reads it');
  assert.equal(at('10.0.0.1', '10.0.0.1', 0), null, 'any free port');
  assert.equal(at('10.0.0.1', '10.0.0.1', 3888, false), null);
});
