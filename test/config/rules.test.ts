// Rules of a configuration file: read in both forms, and refused with the rule, the key and what
// to do.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { ConfigError, type LoadedConfig, loadConfig } from '../../src/config/load.ts';
import { RULES_MAX } from '../../src/config/rules.ts';
import { parseRule } from '../../src/core/rules/rule.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'thrustmq rules '));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function load(name: string, text: string): Promise<LoadedConfig> {
  writeFileSync(join(folder, name), text);
  const nothing = { flags: {}, environment: {}, terminal: false };
  return loadConfig({ ...nothing, workingDir: folder, configFile: name });
}

function rejects(toml: string, pattern: RegExp): Promise<void> {
  return assert.rejects(load('a.toml', toml), (error: unknown) => {
    assert.ok(error instanceof ConfigError, String(error));
    assert.match(error.message, pattern);
    assert.match(error.message, /a\.toml: /, 'it does not say where');
    assert.equal(error.exitCode, 78);
    return true;
  });
}

const TOML = `
  intake_port = 5
  [[rule]]
  name = "mail"
  match = 7
  rate = 2.5
  [[rule]]
  name = "all"
  match = "*"
  batch = 100
  max_bytes = "1MiB"
  overflow = "refuse"
`;

test('rules are read from TOML and JSON alike, beside settings', async () => {
  const { config, rules } = await load('a.toml', TOML);
  const expected = [
    'name=mail match=7 rate=2.5',
    'name=all match=* max_bytes=1MiB overflow=refuse batch=100',
  ];
  assert.equal(config.intake[0]!.port, 5);
  assert.deepEqual(
    rules?.rules.map(({ text }) => text),
    expected,
  );
  const json = JSON.stringify({
    rule: [
      { name: 'mail', match: '7', rate: '2.5' },
      { name: 'all', match: '*', batch: 100, max_bytes: 1_048_576, overflow: 'refuse' },
    ],
  });
  assert.deepEqual(
    (await load('a.json', json)).rules?.rules.map(({ text }) => text),
    expected,
  );
  assert.equal((await load('b.toml', 'intake_port = 1')).rules, undefined);
  assert.deepEqual((await load('b.json', '{"rule":[]}')).rules?.rules, []);
});

test('what is wrong names the rule, the key, and what to do', async () => {
  const rule = (text: string) => `[[rule]]\nname = "r"\n${text}\n`;
  await rejects('rule = 5', /"rule" must be a list of tables: write \[\[rule\]\] above each/);
  await rejects('rule = [5]', /rule number 1 is no table/);
  await rejects('[[rule]]\nmatch = 1', /rule number 1 has no name: write name/);
  await rejects('[[rule]]\nname = "a b"\nmatch = 1\nbatch = 1', /"a b" is no name of a rule/);
  await rejects(rule('batch = 1'), /rule "r" has no match/);
  await rejects(rule('match = "9-3"\nbatch = 1'), /rule "r", match: /);
  await rejects(rule('match = 1'), /rule "r" sets nothing; give it a key/);
  await rejects(rule('match = 1\nbacth = 1'), /rule "r" sets "bacth".*did you mean "batch"\?/);
  await rejects(rule('match = 1\nbatch = 0'), /rule "r", batch: "0" is not .*1 to 65536/);
  await rejects(rule('match = 1\nrate = nan'), /rule "r", rate: "NaN" is not a number/);
  await rejects(rule('match = 1\nsources = "1"'), /bucket 1 would be its own source/);
  await rejects(
    rule('match = 1\nbatch = 1') + rule('match = 2\nbatch = 1'),
    /two rules are called "r": give one another name/,
  );
  const other = '[[rule]]\nname = "s"\nmatch = "5-20"\nbatch = 1\n';
  await rejects(
    rule('match = "1-10"\nbatch = 1') + other,
    /rules "r" \(1-10\) and "s" \(5-20\) overlap in part, in bucket 5 for one, and both set batch; let one lie inside/,
  );
  await rejects('[[rules]]\nname = "r"', /unknown key "rules"; did you mean "rule"\?/);
});

test(`${RULES_MAX} rules are possible, one more is not`, async () => {
  const rules = (count: number) =>
    JSON.stringify({
      rule: Array.from({ length: count }, (_, i) => ({ name: `r${i}`, match: i, batch: 1 })),
    });
  assert.equal((await load('a.json', rules(RULES_MAX))).rules?.rules.length, RULES_MAX);
  await assert.rejects(load('a.json', rules(RULES_MAX + 1)), /10001 rules; at most 10000/);
});

test('a file that is half written or damaged is refused, or says what it says', async () => {
  const outcomes = { refused: 0, read: 0 };
  const tried = async (name: string, bytes: Uint8Array) => {
    writeFileSync(join(folder, name), bytes);
    const nothing = { flags: {}, environment: {}, terminal: false };
    try {
      const { rules } = await loadConfig({ ...nothing, workingDir: folder, configFile: name });
      // What still parses is a set of whole rules, as others would write it.
      for (const { text } of rules?.rules ?? []) assert.equal(parseRule(text).text, text);
      outcomes.read++;
    } catch (error) {
      assert.ok(error instanceof ConfigError, `${name}: ${error}`);
      assert.equal(error.exitCode, 78);
      assert.ok(error.message.includes(name) && error.message.length < 2000, error.message);
      outcomes.refused++;
    }
  };
  const json = JSON.stringify({ rule: [{ name: 'mail', match: '7', retry: '1s,5s', rate: 2.5 }] });
  for (const [name, text] of [
    ['a.toml', TOML],
    ['a.json', json],
  ] as const) {
    const whole = Buffer.from(text);
    for (let cut = 0; cut < whole.length; cut++) {
      await tried(name, whole.subarray(0, cut));
      for (const value of [0xff, whole[cut]! ^ 1]) {
        const damaged = Buffer.from(whole);
        damaged[cut] = value;
        await tried(name, damaged);
      }
      // As file systems leave what was not written before the power went.
      await tried(name, Buffer.concat([whole.subarray(0, cut), Buffer.alloc(whole.length - cut)]));
    }
  }
  assert.ok(outcomes.refused > 500 && outcomes.read > 20, JSON.stringify(outcomes));
});
