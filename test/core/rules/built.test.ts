// Keys that nobody carries out are refused by name, and the sentence says which are carried out.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUILT, checkBuilt } from '../../../src/core/rules/built.ts';
import { KEY_NAMES, RULE_KEYS } from '../../../src/core/rules/keys.ts';
import { ruleOfWords } from '../../../src/core/rules/rule.ts';

// A value for each key.
const SAMPLES: Record<string, string> = { sources: '5', copy_to: '5', dead_letter: '5' };

test('every key is carried out, or refused by its name', () => {
  for (const key of KEY_NAMES) {
    const value = SAMPLES[key] ?? RULE_KEYS[key].print(RULE_KEYS[key].fallback as never);
    const check = () => checkBuilt(ruleOfWords('r', '7', [`${key}=${value}`]));
    if (BUILT[key] !== undefined) assert.doesNotThrow(check, key);
    else
      assert.throws(check, {
        name: 'RuleError',
        message: `rule "r" sets ${key}, which this version does not carry out; take it out of the rule. This version knows retry, retry_jitter, max_deliveries, dead_letter, dead_keep, isolate, lease, delay, ttl, expired, max_messages, max_bytes, overflow, max_in_flight, batch, rate, dedup, copy_to`,
      });
  }
});
