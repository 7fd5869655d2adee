// The keys of a rule: their defaults, what they take, and how they are written.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KEY_NAMES, RULE_KEYS, type RuleKeyName } from '../../../src/core/rules/keys.ts';
import { ruleOfWords } from '../../../src/core/rules/rule.ts';
import { RuleError } from '../../../src/core/rules/rule-error.ts';

/** Reads a value and writes it again. */
function again(key: RuleKeyName, text: string): string {
  return RULE_KEYS[key].print(RULE_KEYS[key].parse(text) as never);
}

test('every key has a default that it reads back, and a line of help', () => {
  const defaults = KEY_NAMES.map(
    (key) => `${key}=${RULE_KEYS[key].print(RULE_KEYS[key].fallback as never)}`,
  );
  assert.deepEqual(defaults, [
    'retry=0s',
    'retry_jitter=0',
    'max_deliveries=0',
    'dead_letter=keep',
    'dead_keep=forever',
    'isolate=true',
    'lease=0s',
    'delay=0s',
    'ttl=0s',
    'expired=dead',
    'max_messages=0',
    'max_bytes=0',
    'overflow=refuse',
    'max_in_flight=0',
    'batch=auto',
    'rate=0',
    'dedup=0s',
    'copy_to=none',
    'sources=none',
    'order=fair',
    'weight=1',
    'priority=0',
  ]);
  for (const each of defaults) {
    const [key, value] = each.split('=') as [RuleKeyName, string];
    assert.equal(again(key, value), value);
    assert.deepEqual(RULE_KEYS[key].parse(value), RULE_KEYS[key].fallback);
    assert.match(RULE_KEYS[key].help, /^[a-z].{10,100}$/);
    assert.ok(RULE_KEYS[key].takes.length > 5);
  }
});

test('values are written in one way', () => {
  const cases: [RuleKeyName, string, string][] = [
    ['retry', '1s,5s,30s,5m', '1s,5s,30s,5m'],
    ['retry', ' 1000ms, 60s ,1.5m,0', '1s,1m,90s,0s'],
    ['retry_jitter', '0.2500', '0.25'],
    ['retry_jitter', '1', '1'],
    ['max_deliveries', '007', '7'],
    ['dead_letter', '0x10', '16'],
    ['dead_letter', '18446744073709551615', '18446744073709551615'],
    ['dead_letter', 'drop', 'drop'],
    ['dead_keep', '720h', '720h'],
    ['lease', '90m', '90m'],
    ['delay', '87600h', '87600h'],
    ['max_messages', '9007199254740991', '9007199254740991'],
    ['max_bytes', '1.5MiB', '1536KiB'],
    ['max_bytes', '1000', '1000'],
    ['max_in_flight', '4294967295', '4294967295'],
    ['batch', '65536', '65536'],
    ['rate', '0.001', '0.001'],
    ['rate', '1000000', '1000000'],
    ['copy_to', '9, 8,0x7', '7,8,9'],
    ['sources', '300-399,100-199,5', '5,100-199,300-399'],
    ['sources', '150-250,100-199,7,7,160', '7,100-250'],
    ['sources', '0x100/0xffffffffffffff00,0x180', '0x0000000000000100/0xffffffffffffff00'],
    [
      'sources',
      '3/3,1/1,3/3',
      '0x0000000000000001/0x0000000000000001,0x0000000000000003/0x0000000000000003',
    ],
    ['sources', '100-199,200', '100-199,200'],
    ['weight', '1000', '1000'],
    ['priority', '63', '63'],
  ];
  for (const [key, text, written] of cases) {
    assert.equal(again(key, text), written, `${key}=${text}`);
    assert.equal(again(key, written), written, `${key}=${written}`);
  }
});

test('what a key does not take is refused with its name, the value, and what it takes', () => {
  const many = (n: number, one: string) => Array.from({ length: n }, () => one).join(',');
  const cases: [RuleKeyName, string[]][] = [
    [
      'retry',
      ['', '1s,,5s', ',', '1s,', '5', 'NaN', '-1s', '1d', many(65, '1s'), '9223372036854775808ms'],
    ],
    ['retry', ['87601h', '0.0001ms', '1s;5s', '1s 5s']],
    ['retry_jitter', ['1.1', '-0.1', 'NaN', 'Infinity', '1e-3', '0.00001', '.5', '']],
    ['max_deliveries', ['-1', '1.5', '65536', 'NaN', '9223372036854775808', '0x10', '1e3', ' ']],
    ['dead_letter', ['bin', '-1', '18446744073709551616', '1-2', '']],
    ['dead_keep', ['0', '0s', 'never', '-1s']],
    ['isolate', ['yes', '1', 'TRUE', '']],
    ['lease', ['10', '-10s', '99999999999999999h', 'x']],
    ['delay', ['10years', '87600h1s']],
    ['ttl', ['NaN', 'Infinity']],
    ['expired', ['keep', 'Dead', '']],
    ['max_messages', ['9007199254740992', '9223372036854775808', '-1', '1k', 'NaN']],
    ['max_bytes', ['-1', '8EiB', '9223372036854775808', 'NaN', '1.5']],
    ['overflow', ['drop', 'oldest', '']],
    ['max_in_flight', ['4294967296', '-1']],
    ['batch', ['0', '65537', 'all']],
    ['rate', ['-1', 'NaN', '1000001', '0.0001', '10/s']],
    ['dedup', ['1', '-1h']],
    ['copy_to', ['', '9,,8', '9,9', '9,0x9', many(17, '1'), '1-3', 'none,1', '*']],
    ['sources', ['', '1,,2', 'none,1', '9-1', 'x']],
    ['order', ['random', '']],
    ['weight', ['0', '1001', '-1', '1.5']],
    ['priority', ['64', '-1']],
  ];
  for (const [key, texts] of cases)
    for (const text of texts)
      assert.throws(
        () => ruleOfWords('a', '7', [`${key}=${text}`]),
        (error) => {
          assert.ok(error instanceof RuleError, `${key}=${text}: ${error}`);
          assert.ok(error.message.startsWith(`rule "a", ${key}: `), error.message);
          assert.ok(error.message.includes(`; it takes ${RULE_KEYS[key].takes}`), error.message);
          assert.ok(error.message.length < 500, error.message);
          return true;
        },
        `${key}=${text}`,
      );
});

test('a list with an empty place is told so', () => {
  for (const text of ['1s,,5s', ',', '1s,', ',1s'])
    assert.throws(() => RULE_KEYS.retry.parse(text), /has an empty place between its commas/, text);
});

test('lists have their most', () => {
  const ids = (n: number) => Array.from({ length: n }, (_, i) => i + 10).join(',');
  assert.equal(RULE_KEYS.copy_to.parse(ids(16)).length, 16);
  assert.throws(() => RULE_KEYS.copy_to.parse(ids(17)), /names more than 16/);
  assert.equal(RULE_KEYS.sources.parse(ids(4096)).length, 4096);
  assert.throws(() => RULE_KEYS.sources.parse(ids(4097)), /names more than 4096/);
  const delays = (n: number) => Array.from({ length: n }, () => '1s').join(',');
  assert.equal(RULE_KEYS.retry.parse(delays(64)).length, 64);
  assert.throws(() => RULE_KEYS.retry.parse(delays(65)), /names more than 64/);
});
