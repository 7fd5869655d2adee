// A rule: its name, its one form, and what it is made of.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  parseRule,
  RULE_BYTES_MAX,
  ruleOfObject,
  ruleOfWords,
  settingsOf,
} from '../../../src/core/rules/rule.ts';
import { RuleError } from '../../../src/core/rules/rule-error.ts';
import { Random, seedOf } from '../../support/random.ts';
import { randomRule, WORLDS } from './world.ts';

const seed = seedOf('core/rules/rule.test');

function refused(what: () => unknown, message: RegExp): void {
  assert.throws(what, (error) => {
    assert.ok(error instanceof RuleError, String(error));
    assert.match(error.message, message);
    return true;
  });
}

test('has one form, whichever way it is made', () => {
  const text =
    'name=tenants match=100-199 retry=1s,5s,30s retry_jitter=0.2 max_deliveries=5 copy_to=7,9';
  const words = ruleOfWords('tenants', '0x64-199', [
    'copy_to=9,7',
    'max_deliveries=5',
    'retry=1000ms,5s,30s',
    'retry_jitter=0.20',
  ]);
  const plain = ruleOfObject('tenants', {
    match: '100-199',
    retry: ['1s', '5s', '30s'],
    retry_jitter: 0.2,
    max_deliveries: 5,
    copy_to: [9, '0x7'],
    lease: undefined,
  });
  assert.equal(words.text, text);
  assert.deepEqual(plain, words);
  assert.deepEqual(parseRule(text), words);
  assert.deepEqual(settingsOf(words), [
    ['retry', '1s,5s,30s'],
    ['retry_jitter', '0.2'],
    ['max_deliveries', '5'],
    ['copy_to', '7,9'],
  ]);
  const one = ruleOfObject('one', {
    name: 'one',
    match: 7,
    isolate: false,
    delay: 0,
    dedup: '1h',
  });
  assert.equal(one.text, 'name=one match=7 isolate=false delay=0s dedup=1h');
});

test(`is read back as it was written (seed ${seed})`, () => {
  const random = new Random(seed);
  for (let round = 0; round < 500; round++) {
    const rule = randomRule(random, WORLDS[round % WORLDS.length]!, `r-${round}`);
    assert.deepEqual(parseRule(rule.text), rule);
  }
});

test('text that is not canonical is no rule', () => {
  const good = 'name=a match=7 retry=1s lease=5s';
  assert.equal(parseRule(good).text, good);
  for (const text of [
    '',
    'a',
    'name=a match=7',
    'name=a match=7 ',
    'name=a match=7 lease=5s retry=1s',
    'name=a match=7 retry=1000ms',
    'name=a match=0x7 retry=1s',
    'name=a match=7  retry=1s',
    'name=a match=7 retry=1s ',
    `${good}\n`,
    `${good}\0`,
    'name=a match=7 retry',
    'name=a match=7 retry=1s retry=1s',
    'match=7 name=a retry=1s',
    'name=a match=7 new_key=1',
    good.slice(0, -1),
  ])
    assert.throws(() => parseRule(text), RuleError, text);
  refused(() => parseRule('name=a match=7 new_key=1'), /"new_key", which is no key/);
});

test(`damaged text is refused, or is a rule in canonical form (seed ${seed})`, () => {
  const random = new Random(seed + 1);
  let refusals = 0;
  for (let round = 0; round < 3000; round++) {
    const { text } = randomRule(random, WORLDS[round % WORLDS.length]!, 'damaged');
    const at = random.below(text.length);
    const letter = String.fromCharCode(
      random.chance(0.8) ? random.below(128) : random.below(65_536),
    );
    const damaged = random.chance(0.3)
      ? text.slice(0, at)
      : text.slice(0, at) + letter + text.slice(at + random.below(2));
    try {
      assert.equal(parseRule(damaged).text, damaged);
    } catch (error) {
      assert.ok(error instanceof RuleError, `${damaged}: ${error}`);
      assert.match(error.message, /^[\x20-\x7e…]*$/, 'nothing that a terminal would obey');
      refusals += 1;
    }
  }
  assert.ok(refusals > 1500, `${refusals}`);
});

test('names are safe in URLs, in shells and on a line', () => {
  const make = (name: string) => ruleOfWords(name, '7', ['lease=1s']);
  for (const name of ['a', '7', 'Tenants.2026_eu~x-1', 'x'.repeat(128)]) {
    assert.equal(make(name).name, name);
    assert.equal(encodeURIComponent(name), name);
    assert.equal(new URL(name, 'http://h/rules/').pathname, `/rules/${name}`);
  }
  for (const name of [
    '',
    '.',
    '..',
    '-a',
    '_a',
    '~a',
    'a b',
    'a/b',
    'a%2f',
    'a=b',
    'ä',
    'a\n',
    'a\0',
    '__proto__',
    'x'.repeat(129),
    'x'.repeat(1e6),
  ])
    refused(() => make(name), /is no name of a rule; write 1 to 128/);
  assert.equal(make('constructor').text, 'name=constructor match=7 lease=1s');
});

test('what is no key is said with the one that was meant', () => {
  const make = (word: string) => () => ruleOfWords('a', '7', [word]);
  refused(
    make('max-delivery=5'),
    /rule "a" sets "max-delivery", which is no key; did you mean "max_deliveries"\?/,
  );
  refused(make('Lease=5s'), /did you mean "lease"\?/);
  refused(make('zzzzzzzzzzzz=1'), /known are retry, retry_jitter, .*priority/);
  refused(make('__proto__=1'), /is no key/);
  refused(make('constructor=1'), /is no key/);
  refused(make('match=1'), /is no key/);
  refused(make('lease'), /"lease" sets nothing; write key=value/);
  refused(make('=5'), /sets nothing; write key=value/);
});

test('sets something, each key once', () => {
  refused(() => ruleOfWords('a', '7', []), /sets nothing; give it a key/);
  refused(() => ruleOfObject('a', { match: '7' }), /sets nothing/);
  refused(() => ruleOfWords('a', '7', ['lease=1s', 'lease=1s']), /rule "a" sets lease twice/);
  refused(() => ruleOfWords('a', '9-7', ['lease=1s']), /rule "a", match: "9-7" ends before/);
});

test('objects are refused where a value is none', () => {
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ lease: '1s' }, /rule "a" has no match/],
    [{ match: '7', name: 'b', lease: '1s' }, /rule "a" is called "b" within/],
    [{ match: null, lease: '1s' }, /"match": null is no value/],
    [{ match: '7', lease: null }, /"lease": null is no value; write text, a number or a list/],
    [{ match: '7', lease: {} }, /"lease": object is no value/],
    [{ match: '7', retry: [] }, /"retry": the list is empty; write none/],
    [{ match: '7', retry: [['1s']] }, /a list is within the list/],
    [{ match: '7', max_deliveries: Number.NaN }, /max_deliveries: "NaN" is not a whole number/],
    [{ match: '7', max_deliveries: -1 }, /max_deliveries: "-1" is not/],
    [{ match: '7', rate: Number.POSITIVE_INFINITY }, /rate: "Infinity" is not a number/],
    [
      { match: '7', dead_letter: 2 ** 63 },
      /"dead_letter": numbers beyond 2\^53 are not exact; write it in quotes/,
    ],
    [{ match: '7', copy_to: [2 ** 53] }, /"copy_to": numbers beyond 2\^53/],
    [{ match: '7', lease: 5 }, /lease: "5" is not a duration; write a unit/],
    [{ match: '7', isolate: 'maybe' }, /isolate: "maybe" is not true or false/],
  ];
  for (const [plain, message] of cases) refused(() => ruleOfObject('a', plain), message);
});

test('has at most 64 KiB of text', () => {
  const sources = (n: number) =>
    Array.from({ length: n }, (_, i) => 10n ** 18n + BigInt(i * 2)).join(',');
  const rule = ruleOfWords('a', '7', [`sources=${sources(3000)}`]);
  assert.ok(rule.text.length < RULE_BYTES_MAX);
  assert.deepEqual(parseRule(rule.text), rule);
  refused(
    () => ruleOfWords('a', '7', [`sources=${sources(3400)}`]),
    /bytes of text; at most 65536/,
  );
  refused(() => ruleOfWords('a', '7', [`lease=${' '.repeat(65 * 1024)}1s`]), /at most 65536/);
  refused(() => parseRule(`name=a match=7 lease=${'1'.repeat(65 * 1024)}`), /at most 65536/);
  refused(() => ruleOfWords('a', '7', [`lease=${'1'.repeat(1000)}`]), /is too long/);
});
