// The keys of rules, as their document is written: a broker with its rules, and each command of
// it says what stands below it. And a configuration file whose rules cannot be.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RULE_KEYS } from '../../src/core/rules/keys.ts';
import { type BrokerProcess, failedStart, temporaryFolder } from '../support/broker.ts';
import { assertConsole, configFile, guideBroker, readGuide, runShell } from '../support/guide.ts';

const { text: GUIDE, blocks } = readGuide('rule-keys.md');

let broker: BrokerProcess;

before(async () => {
  broker = await guideBroker(blocks);
});

after(async () => {
  assert.equal(await broker.stop(), 0);
});

const run = (command: string) => runShell(broker, command);

test('each example of the guide does what it says', () => {
  const examples = blocks.filter(({ kind }) => kind === 'console');
  assert.equal(examples.length, 8);
  for (const { text } of examples) assertConsole(broker, text);
});

test('the guide has a line for each key that is carried out, and for no other', () => {
  const table = GUIDE.slice(GUIDE.indexOf('## All keys'));
  const named = [...table.matchAll(/^\| `(\w+)`/gm)].map(([, key]) => key!);
  assert.deepEqual(named, Object.keys(RULE_KEYS));
});

test('rules are listed, and shown where they are in force', async () => {
  const call = async (path: string) =>
    (await fetch(`http://127.0.0.1:${broker.dashboard}/api/v1${path}`)).json();
  const page = (await call('/rules?limit=2')) as { rules: { name: string }[]; cursor: string };
  assert.deepEqual(
    page.rules.map(({ name }) => name),
    ['accounts', 'big-tenant'],
  );
  const rest = (await call(`/rules?cursor=${page.cursor}`)) as typeof page;
  assert.deepEqual([rest.rules.length, rest.cursor], [16, null]);
  assert.deepEqual(await call('/rules/tenants'), {
    name: 'tenants',
    match: '100-199',
    keys: { max_messages: '5', batch: '10' },
    source: 'file',
  });
  const { settings } = (await call('/config')) as { settings: { key: string; value: string }[] };
  const shown = settings.find(({ key }) => key === 'rule tenants');
  assert.equal(shown?.value, 'match=100-199 max_messages=5 batch=10');
  assert.match(run('thrustmq rule ls'), /tenants +│ 100-199 +│ max_messages=5 batch=10 +│ file/);
  assert.match(run('thrustmq bucket info 142'), /max_messages=7 by rule big-tenant/);
});

test('rules that cannot be end the start with 78, and say what to do', async () => {
  const rules = '[[rule]]\nname = "r"\nmatch = 5\nttl = "5 parsecs"\n';
  const flags = ['--config', configFile(rules)];
  const { code, text } = await failedStart({ dataDir: temporaryFolder(), flags });
  assert.equal(code, 78);
  assert.match(text, /rules\.toml: rule "r", ttl: "5 parsecs" is not/);
});
