// What `pub` stores of its arguments, of files and of standard input: byte for byte what it was given.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readBodies } from '../../src/cli/bodies.ts';
import { FakeIntake } from '../client/fake-broker.ts';
import { hasPython } from '../clients/python.ts';
import { MAIN, plainEnvironment, Running } from '../support/process.ts';

const folder = mkdtempSync(join(tmpdir(), 'thrustmq-bodies-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const MIB = 1024 * 1024;
const noRaw =
  !existsSync('/proc/self/cmdline') && 'no /proc: arguments that are no text are refused';

async function* chunks(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

/** A shell with the program as "$@"; the broker's port follows. */
function shell(script: string, port: number): Running {
  const args = ['-c', script, process.execPath, MAIN, String(port)];
  return new Running('sh', args, { env: plainEnvironment() });
}

function hex({ stored }: FakeIntake): string[] {
  return stored.map(({ body }) => Buffer.from(body).toString('hex'));
}

test('pub stores arguments that are not UTF-8 as they are', { skip: noRaw }, async () => {
  await using intake = await new FakeIntake().start();
  const script = `exec "$0" "$1" pub 42 "$(printf 'caf\\351')" plain "$(printf '\\303\\251\\377')" -p "$2"`;
  const { code, stderr } = await shell(script, intake.port).ended;
  assert.equal(code, 0, stderr);
  assert.deepEqual(hex(intake), ['636166e9', '706c61696e', 'c3a9ff']);
});

test('a file whose name is not UTF-8 is the one that is read', { skip: noRaw }, async () => {
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.of(0x66, 0xe9)]), 'right');
  writeFileSync(join(folder, 'f\ufffd'), 'wrong');
  await using intake = await new FakeIntake().start();
  const script = `exec "$0" "$1" pub 42 -f "${folder}/$(printf 'f\\351')" -p "$2"`;
  const { code, stderr } = await shell(script, intake.port).ended;
  assert.equal(code, 0, stderr);
  assert.deepEqual(hex(intake), [Buffer.from('right').toString('hex')]);
});

test('other options that are not UTF-8 are refused, whatever the verb', {
  skip: noRaw,
}, async () => {
  for (const verb of ['pub 1 x', 'sub 1', 'stats', 'bench', 'log verify', 'serve', '']) {
    const flag = verb === 'bench' ? '--dir' : '--data-dir';
    const script = `exec "$0" "$1" ${verb} ${flag} "${folder}/$(printf 'd\\351')"`;
    const { code, stderr } = await shell(script, 1).ended;
    assert.equal(code, 2, `${verb}: ${stderr}`);
    assert.match(stderr, /error: --(data-)?dir: ".*d\\xe9" is not UTF-8/);
  }
  assert.ok(!existsSync(join(folder, 'd\ufffd')), 'no folder of another name was made');
});

// Only what is not Node.js can hand over a standard input that does not block.
const SLOW_WRITER = `
import os, subprocess, sys
r, w = os.pipe()
os.set_blocking(r, False)
child = subprocess.Popen(sys.argv[1:], stdin=r)
os.close(r)
sys.stdin.readline()
os.write(w, b"hello")
os.close(w)
sys.exit(child.wait())`;

for (const [what, flags] of [
  ['--file -', ['--file', '-']],
  ['--file /dev/stdin', ['--file', '/dev/stdin']],
  ['lines', []],
] as const)
  test(`pub waits for a standard input that does not block: ${what}`, {
    skip: !hasPython && 'python3 is missing',
  }, async () => {
    await using intake = await new FakeIntake().start();
    const program = [process.execPath, MAIN, 'pub', '1', ...flags, '-p', String(intake.port)];
    await using python = new Running('python3', ['-c', SLOW_WRITER, ...program], {
      env: plainEnvironment({ NODE_DEBUG: 'net' }),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    // The first that it says is that it opens its input, or that it could not read it.
    await python.errorOutput(/NET|error/);
    python.child.stdin?.end('\n');
    const { code, stderr } = await python.ended;
    assert.equal(code, 0, stderr);
    assert.deepEqual(hex(intake), [Buffer.from('hello').toString('hex')]);
  });

test('standard input comes in pieces, and ends at the size of the largest message', async () => {
  const text = (bodies: Uint8Array[]) => bodies.map((body) => Buffer.from(body).toString());
  const input = chunks(Buffer.from('a\n'), Buffer.from('b'));
  assert.deepEqual(text(await readBodies(['x'], ['-'], input)), ['x', 'a\nb']);
  const piece = new Uint8Array(MIB);
  let taken = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (; ; taken++) yield piece;
  }
  await assert.rejects(readBodies([], ['-'], endless()), /cannot read -: it is longer than/);
  assert.equal(taken, 64);
});

test('what cannot be read, and what is empty, is wrong usage', async () => {
  const usage = (pattern: RegExp) => (error: unknown) => {
    assert.match((error as Error).message, pattern);
    assert.equal((error as { exitCode?: unknown }).exitCode, 2);
    return true;
  };
  await assert.rejects(readBodies([], [join(folder, 'none')], chunks()), usage(/ENOENT/));
  await assert.rejects(readBodies([], ['-'], chunks()), usage(/an empty message/));
  await assert.rejects(readBodies([''], [], chunks()), usage(/an empty message/));
});
