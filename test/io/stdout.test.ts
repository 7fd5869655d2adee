// The queue in front of standard output: order, bounds, and readers that come late or leave.

import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { plainEnvironment, Running } from '../support/process.ts';

const STDOUT = fileURLToPath(new URL('../../src/io/stdout.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'thrustmq-stdout-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function script(lines: string): string[] {
  const text = `
    const { StdoutQueue } = await import(${JSON.stringify(STDOUT)});
    const out = new StdoutQueue();
    ${lines}`;
  return ['--input-type=module', '-e', text];
}

const NUMBERS = `for (let i = 0; i < 20000; i++) out.write(i + '\\n');`;
const EXPECTED = `${Array.from({ length: 20_000 }, (_, index) => index).join('\n')}\n`;

/** Runs a shell pipeline with node's arguments in "$@". */
function shell(pipeline: string, args: string[]): Running {
  return new Running('/bin/sh', ['-c', pipeline, 'sh', process.execPath, ...args], {
    env: plainEnvironment(),
  });
}

test('everything arrives in order: through a socket, a pipe and into a file', async () => {
  const args = script(`${NUMBERS} await out.drained();`);
  await using socket = new Running(process.execPath, args, { env: plainEnvironment() });
  assert.equal((await socket.ended).stdout, EXPECTED);
  await using pipe = shell('"$@" | cat', args);
  assert.equal((await pipe.ended).stdout, EXPECTED);
  const path = join(folder, 'out');
  const descriptor = openSync(path, 'w');
  await using file = new Running(process.execPath, args, {
    env: plainEnvironment(),
    stdio: ['ignore', descriptor, 'pipe'],
  });
  await file.ended;
  closeSync(descriptor);
  assert.equal(readFileSync(path, 'utf8'), EXPECTED);
});

test('the last flush of a process writes what is queued', async () => {
  await using pipe = shell('"$@" | cat', script(`${NUMBERS} out.flushSync(); process.exit(0);`));
  assert.equal((await pipe.ended).stdout, EXPECTED);
});

test('a reader that comes late gets the first lines, whole, and then those that fit', async () => {
  // The reader starts when the writer has said on standard error that it is done.
  const lines = `
    const line = 'x'.repeat(999) + '\\n';
    for (let i = 0; i < 5000; i++) out.write(String(i).padStart(6, '0') + line);
    console.error('written');
    // Dropped like the line above until the reader has made room.
    process.stdin.once('data', () => setInterval(() => out.write('END\\n'), 20));`;
  await using late = new Running(process.execPath, script(lines), {
    env: plainEnvironment(),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  late.child.stdout?.pause();
  await late.errorOutput(/written/);
  late.child.stdout?.resume();
  late.child.stdin?.write('go\n');
  await late.output(/END\n/);
  const [stdout] = late.stdout.split('END\n');
  const got = stdout.trimEnd().split('\n');
  assert.ok(stdout.length < 2_000_000, `${stdout.length}`);
  assert.ok(got.length > 1000);
  got.forEach((text, index) => {
    assert.equal(text, String(index).padStart(6, '0') + 'x'.repeat(999));
  });
});

test('a reader that left is noticed once and costs nothing', async () => {
  const lines = `
    out.write('first\\n');
    process.stdin.once('data', async () => {
      for (let i = 0; i < 1000; i++) { out.write('more\\n'); await new Promise(setImmediate); }
      await out.drained();
      out.flushSync();
      console.error('alive');
      process.stdin.destroy();
    });`;
  await using run = new Running(process.execPath, script(lines), {
    env: plainEnvironment(),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  await run.output(/first/);
  run.child.stdout?.destroy();
  run.child.stdin?.write('go\n');
  await run.errorOutput(/alive/);
  assert.equal((await run.ended).code, 0);
});

test('a full disk loses lines and nothing else', async () => {
  const full = openSync('/dev/full', 'w');
  await using run = new Running(
    process.execPath,
    script(`${NUMBERS} await out.drained(); out.flushSync(); console.error('alive');`),
    { env: plainEnvironment(), stdio: ['ignore', full, 'pipe'] },
  );
  const { code, stderr } = await run.ended;
  closeSync(full);
  assert.deepEqual([code, stderr], [0, 'alive\n']);
});
