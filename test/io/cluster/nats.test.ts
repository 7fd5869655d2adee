// Who loads the client of NATS: a broker of one machine does not, nor needs it to be there.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { startBroker, temporaryFolder } from '../../support/broker.ts';

// Importing any of it fails, as where it was never installed.
const REFUSES = `export async function resolve(name, context, next) {
  if (name.startsWith('@nats-io/')) throw new Error('Cannot find package ' + name);
  return next(name, context);
}`;
const dataUrl = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;
const PRELOAD = dataUrl(
  `import { register } from 'node:module'; register(${JSON.stringify(dataUrl(REFUSES))});`,
);
const WITHOUT = { NODE_OPTIONS: `--import=${PRELOAD}` };
const NATS = pathToFileURL(
  fileURLToPath(new URL('../../../src/io/cluster/nats.js', import.meta.url)),
);

test('a broker of one machine starts and serves without the client of NATS', async () => {
  const broker = await startBroker({ dataDir: temporaryFolder(), env: WITHOUT });
  assert.equal(await broker.stop(), 0);
});

test('where it is missing, a cluster is refused in a sentence, and nothing else is', () => {
  const script = `const { dial } = await import(${JSON.stringify(NATS.href)});
    try { await dial({ servers: ['127.0.0.1:1'] }); }
    catch ({ name, exitCode, message }) { console.log(name, exitCode, message); }`;
  const ran = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, ...WITHOUT },
    encoding: 'utf8',
  });
  assert.match(
    ran.stdout,
    /^StreamRefused 78 a cluster needs the packages @nats-io.*Cannot find package @nats-io/,
    ran.stderr,
  );
});
