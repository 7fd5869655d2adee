// The table of settings: names derived from it, and that every setting reaches the configuration.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseListener } from '../../src/config/address.ts';
import {
  environmentNameOf,
  flagOf,
  metaOf,
  SETTING_KEYS,
  SETTINGS,
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

test('hosts: IPv6 with or without brackets, no port, no bytes that are not UTF-8', () => {
  const { host, dashboard_host: page, intake, data_dir: folder } = SETTINGS.shape;
  for (const [given, kept] of [
    ['::1', '::1'],
    ['[::1]', '::1'],
    [' [FE80::1%eth0] ', 'FE80::1%eth0'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['[::ffff:127.0.0.1]', '127.0.0.1'],
    ['::ffff:c0a8:0102', '192.168.1.2'],
    ['2001:DB8::', '2001:db8::'],
    ['mq.example', 'mq.example'],
  ]) {
    assert.equal(host.parse(given), kept);
    assert.equal(page.parse(given), kept);
    assert.deepEqual(intake.parse([{ host: given, port: 1 }]), [{ host: kept, port: 1 }]);
  }
  for (const wrong of ['', '[::1', '[::1]:1888', '[mq]', 'http://mq', 'a b', 'caf\ufffd'])
    assert.ok(!host.safeParse(wrong).success, wrong);
  assert.match(String(folder.safeParse('caf\udce9').error?.message), /must be UTF-8/);
});

test('listeners of another shape are refused', () => {
  for (const text of ['', '1889', ':1889', 'h:', 'h:65536', '::1:1889', 'h:1,u32', 'h:1,wire=u16'])
    assert.throws(() => parseListener(text), RangeError, text);
});
