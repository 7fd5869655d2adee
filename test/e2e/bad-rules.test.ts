// Rules that cannot be read: a configuration file that is half written ends the start with 78, a
// rule that is damaged in the log with 74; nothing is served by the others, and nothing is changed.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { failedStart, startBroker, temporaryFolder } from '../support/broker.ts';
import { publish } from '../support/client.ts';

const RULES = `
[[rule]]
name = "mail"
match = 7
max_messages = 1

[[rule]]
name = "jobs"
match = "8-9"
retry = "1s,5s,30s"
`;

/** The segments of a log, with their bytes; files that were only being made may go. */
function segmentsOf(folder: string): Record<string, string> {
  const names = fs.readdirSync(folder).filter((name) => name.endsWith('.log'));
  return Object.fromEntries(
    names.map((name) => [
      name,
      createHash('sha256')
        .update(fs.readFileSync(path.join(folder, name)))
        .digest('hex'),
    ]),
  );
}

test('a configuration file that is half written ends the start with 78', async () => {
  const file = path.join(temporaryFolder(), 'rules.toml');
  const dataDir = path.join(temporaryFolder(), 'data');
  for (const [end, says] of [
    ['5s,30s"', /rules\.toml does not parse/],
    ['retry', /rule "jobs" sets nothing/],
    ['match = "8', /rule "jobs" has no match/],
  ] as const) {
    fs.writeFileSync(file, RULES.slice(0, RULES.indexOf(end)));
    const { code, text } = await failedStart({ dataDir, flags: ['--config', file] });
    assert.equal(code, 78, text);
    assert.match(text, says);
  }
  assert.ok(!fs.existsSync(dataDir), 'nothing was made');
});

test('a rule that is damaged in the log ends the start with 74, until it is mended', async () => {
  const dataDir = temporaryFolder();
  const call = async (port: number | null, method: string, rule: string) => {
    const headers = { 'x-thrustmq-request': '1' };
    return fetch(`http://127.0.0.1:${port}/api/v1/rules/${rule}`, { method, headers });
  };
  await using broker = await startBroker({ dataDir, dashboard: true });
  for (const rule of ['one?match=7&max_messages=1', 'two?match=8&batch=3'])
    assert.equal((await call(broker.dashboard, 'PUT', rule)).status, 200);
  assert.deepEqual(await publish(broker.intake, 9n, ['behind them']), [1]);
  await broker.kill();

  const names = fs.readdirSync(path.join(dataDir, 'log'));
  const files = names.map((name) => path.join(dataDir, 'log', name));
  const file = files.find((each) => fs.readFileSync(each).includes('max_messages=1'))!;
  const whole = fs.readFileSync(file);
  const at = whole.indexOf('max_messages=1');
  const damaged = Buffer.from(whole);
  damaged.write('2', at + 'max_messages='.length);
  const half = Buffer.from(whole);
  half.fill(0, at, at + 'max_messages=1'.length);
  const refused = [damaged, half];
  for (const bytes of refused) {
    fs.writeFileSync(file, bytes);
    const before = segmentsOf(path.dirname(file));
    const { code, text } = await failedStart({ dataDir });
    assert.equal(code, 74, text);
    assert.match(text, /\.log is damaged at offset \d+.*Nothing was changed/);
    assert.deepEqual(segmentsOf(path.dirname(file)), before);
  }
  fs.writeFileSync(file, whole);
  await using mended = await startBroker({ dataDir, dashboard: true });
  assert.deepEqual(await publish(mended.intake, 7n, ['a', 'b']), [1, 0]);
  assert.equal((await call(mended.dashboard, 'GET', 'two')).status, 200);
  assert.equal(await mended.stop(), 0);
});
