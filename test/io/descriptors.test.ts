// Few descriptors: a broker runs with few, and is refused with the number where it cannot.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createProducer } from '../../src/client/index.ts';
import {
  DESCRIPTORS_LEAST,
  demandDescriptors,
  descriptorLimit,
  isOutOfDescriptors,
  tooFewDescriptors,
} from '../../src/io/descriptors.ts';
import { MAIN, plainEnvironment, Running } from '../support/process.ts';

const root = mkdtempSync(join(tmpdir(), 'thrustmq-few-'));
after(() => rmSync(root, { recursive: true, force: true }));

const skip = !existsSync('/proc/self/limits') && 'the limit is only known on Linux';

/** Runs `thrustmq ARGS` with so many descriptors. */
function limited(count: number, args: string[]): Running {
  const script = `ulimit -n ${count} && exec "$0" "$@"`;
  return new Running('sh', ['-c', script, process.execPath, MAIN, ...args], {
    env: plainEnvironment(),
  });
}

test('the limit is read from what the system says, or unknown', () => {
  const says = (text: string) => descriptorLimit((() => text) as never);
  assert.equal(says('Max open files            1024                 4096   files\n'), 1024);
  assert.equal(
    says('Max open files            unlimited            unlimited  files\n'),
    undefined,
  );
  assert.equal(says(''), undefined);
  const fails = () => {
    throw new Error('ENOENT');
  };
  assert.equal(descriptorLimit(fails as never), undefined);
});

test('what is too few is said with the number that is needed', () => {
  const refuse = (limit: number | undefined) => () =>
    demandDescriptors((why) => new Error(why), limit);
  assert.throws(refuse(DESCRIPTORS_LEAST - 1), /the 47 files .* at least 48 are needed.*ulimit -n/);
  refuse(DESCRIPTORS_LEAST)();
  refuse(undefined)();
  assert.match(tooFewDescriptors(99), /the 99 files .* are too few\. Raise/);
  assert.ok(isOutOfDescriptors(Object.assign(new Error(), { code: 'EMFILE' })));
  assert.ok(!isOutOfDescriptors(undefined));
});

test('a log with more files than may be open is no damage', { skip }, async () => {
  const dataDir = join(root, 'long');
  const ports = ['--intake-port', '0', '--exhaust-port', '0', '--no-dashboard', '--json'];
  const flags = ['serve', '--data-dir', dataDir, '--segment-size', '8MiB', ...ports];
  await using broker = limited(256, flags);
  const [line] = await broker.output(/^.*"event":"ready".*$/m);
  await using producer = createProducer({ port: JSON.parse(line).intake });
  const body = new Uint8Array(1024 * 1024);
  const sends = Array.from({ length: 200 }, () => producer.send(1, body));
  await Promise.all(sends);
  await producer.close();
  broker.child.kill('SIGTERM');
  assert.equal((await broker.ended).code, 0);
  const files = readdirSync(join(dataDir, 'log')).length;
  const { code, stdout } = await limited(DESCRIPTORS_LEAST, flags).ended;
  assert.equal(code, 78, stdout);
  const least = DESCRIPTORS_LEAST + 2 * files;
  assert.match(stdout, new RegExp(`at least ${least} are needed.*The log has ${files} files`));
  await using enough = limited(least, flags);
  await enough.output(/"event":"ready"/);
});

test('a broker starts, and stops, with few descriptors', { skip }, async () => {
  const ports = ['--intake-port', '0', '--exhaust-port', '0', '--dashboard-port', '0'];
  for (const count of [DESCRIPTORS_LEAST, 96]) {
    const flags = ['serve', '--data-dir', join(root, `data ${count}`), '--json', ...ports];
    await using broker = limited(count, flags);
    const [line] = await broker.output(/^.*"event":"ready".*$/m);
    assert.ok(JSON.parse(line).dashboard > 0, 'with its dashboard');
    broker.child.kill('SIGTERM');
    assert.equal((await broker.ended).code, 0);
  }
});

test('fewer are refused with 78, whatever the verb', { skip }, async () => {
  const serve = ['serve', '--data-dir', join(root, 'no'), '--no-dashboard', '--json'];
  const few = await limited(DESCRIPTORS_LEAST - 1, serve).ended;
  assert.equal(few.code, 78, few.stdout + few.stderr);
  assert.match(few.stdout, /"event":"start.failed".*at least 48 are needed/);
  for (const args of [serve, ['pub', '1', 'x'], ['version']]) {
    const { code, stdout, stderr } = await limited(26, args).ended;
    assert.equal(code, 78, stdout + stderr);
    assert.match(stderr, /^error: the 26 files .* at least 48 are needed.*\n$/);
  }
});
