// The table of settings: names derived from it, and that every setting reaches the configuration.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  environmentNameOf,
  flagOf,
  metaOf,
  parseListener,
  SETTING_KEYS,
} from '../../src/config/schema.ts';

test('flags and environment names follow from the keys', () => {
  assert.equal(flagOf('data_dir'), '--data-dir');
  assert.equal(flagOf('dashboard'), '--no-dashboard');
  assert.equal(flagOf('unsafe_no_lock'), '--unsafe-no-lock');
  assert.equal(environmentNameOf('intake_port'), 'THRUSTMQ_INTAKE_PORT');
  assert.equal(environmentNameOf('log_level'), 'THRUSTMQ_LOG_LEVEL');
});

test('every setting is described, and its flag is its own', () => {
  for (const key of SETTING_KEYS) {
    assert.match(key, /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/);
    assert.ok(metaOf(key).description.length > 10, key);
  }
  assert.equal(new Set(SETTING_KEYS.map(flagOf)).size, SETTING_KEYS.length);
});

test('listeners: host, port, optional wire, IPv6 in brackets', () => {
  assert.deepEqual(parseListener('127.0.0.1:1889'), { host: '127.0.0.1', port: 1889 });
  assert.deepEqual(parseListener('h:0,wire=u32'), { host: 'h', port: 0, wire: 'u32' });
  assert.deepEqual(parseListener('[::1]:65535,wire=u64'), {
    host: '::1',
    port: 65_535,
    wire: 'u64',
  });
});

test('listeners of another shape are refused', () => {
  for (const text of ['', '1889', ':1889', 'h:', 'h:65536', '::1:1889', 'h:1,u32', 'h:1,wire=u16'])
    assert.throws(() => parseListener(text), RangeError, text);
});
