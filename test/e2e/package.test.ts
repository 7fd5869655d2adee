// The packed package in an empty folder whose path has spaces: the broker runs by npx, the client
// is importable, and what is not wanted in it is not in it.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '../support/broker.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

function npm(cwd: string, ...args: string[]): string {
  // Without npm's own variables: the test itself may run below `npm test`.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(?!config_(cache|registry))/i.test(name)),
  );
  const ran = spawnSync('npm', args, { cwd, encoding: 'utf8', env });
  assert.equal(ran.status, 0, `npm ${args.join(' ')}: ${ran.stderr}`);
  return ran.stdout;
}

test('the tarball installs into an empty folder and serves', { timeout: 300_000 }, async () => {
  const folder = path.join(temporaryFolder(), 'an empty folder');
  fs.mkdirSync(folder);
  const packed = JSON.parse(
    npm(ROOT, 'pack', '--ignore-scripts', '--json', '--pack-destination', folder),
  );
  const { filename, files } = packed[0] as { filename: string; files: { path: string }[] };
  const names = files.map((file) => file.path);
  assert.ok(names.includes('build/thrustmq.wasm'));
  assert.ok(!names.some((name) => /^(build\/)?(test|bench)\//.test(name)), names.join());
  fs.writeFileSync(path.join(folder, 'package.json'), '{"private":true,"type":"module"}');
  const flags = [
    '--ignore-scripts',
    '--omit=optional',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
  ];
  npm(folder, 'install', ...flags, `./${filename}`);
  const serve = ['thrustmq', 'serve', '--intake-port', '0', '--exhaust-port', '0'];
  const child = spawn('npx', [...serve, '--dashboard-port', '0', '--log-format', 'json'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout! });
  let ready: { intake: number; exhaust: number; dashboard: number; pid: number } | undefined;
  for await (const line of lines) {
    const parsed = JSON.parse(line);
    if (parsed.event !== 'ready') continue;
    ready = parsed;
    break;
  }
  assert.ok(ready !== undefined, 'no ready line');
  assert.ok(fs.existsSync(path.join(folder, 'data', 'runtime.json')));
  const script = `
    import { createConsumer, createProducer } from 'thrustmq';
    const producer = createProducer({ port: ${ready.intake} });
    await producer.send(1, 'from a package');
    await producer.close();
    for await (const message of createConsumer({ bucket: 1, port: ${ready.exhaust} })) {
      console.log(message.text());
      message.ack();
      break;
    }`;
  const client = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: folder,
    encoding: 'utf8',
  });
  assert.equal(client.stdout, 'from a package\n', client.stderr);
  // The page's numbers are some time behind.
  for (let acked = 0; acked !== 1; ) {
    const dash = await fetch(`http://127.0.0.1:${ready.dashboard}/dash`);
    acked = ((await dash.json()) as { totals: { ackedMessages: number } }).totals.ackedMessages;
    assert.ok(acked <= 1, `${acked} messages were acked`);
  }
  process.kill(ready.pid, 'SIGTERM');
  child.stdout!.resume();
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
});
