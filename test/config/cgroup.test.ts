// The limit of memory, in trees of control groups as systems of different kinds have them; and once
// in a real one.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { readMemoryLimit } from '../../src/config/cgroup.ts';
import { MAIN, plainEnvironment, Running } from '../support/process.ts';

const root = fs.mkdtempSync(join(tmpdir(), 'thrustmq-cgroup-'));
after(() => fs.rmSync(root, { recursive: true, force: true }));

const MIB = 1024 * 1024;
const V2 = '29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw,nsdelegate';
const V1 = '35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory';
const OTHER =
  '22 1 8:1 / / rw - ext4 /dev/sda1 rw\n33 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup c rw,cpu';
const NONE_V1 = '9223372036854771712';

interface Tree {
  /** /proc/self/cgroup, /proc/self/mountinfo. */
  group?: string;
  mounts?: string;
  files?: Record<string, string | number>;
}

let trees = 0;

/** Draws a tree into a folder and reads it. */
function limitIn({ group, mounts, files = {} }: Tree): [number, string] | undefined {
  const folder = join(root, `${++trees}`);
  const put = (path: string, text: string | number | undefined): void => {
    if (text === undefined) return;
    fs.mkdirSync(dirname(join(folder, path)), { recursive: true });
    fs.writeFileSync(join(folder, path), `${text}\n`);
  };
  put('/proc/self/cgroup', group);
  put('/proc/self/mountinfo', mounts);
  for (const [path, text] of Object.entries(files)) put(path, text);
  const limit = readMemoryLimit((path) => {
    try {
      return fs.readFileSync(join(folder, path), 'utf8');
    } catch {
      return undefined;
    }
  });
  return limit && [limit.bytes / MIB, limit.name];
}

test('version 2, in a container: its group is the top', () => {
  const tree = { group: '0::/', mounts: `${OTHER}\n${V2}` };
  const max = '/sys/fs/cgroup/memory.max';
  assert.deepEqual(limitIn({ ...tree, files: { [max]: 256 * MIB } }), [256, max]);
  assert.equal(limitIn({ ...tree, files: { [max]: 'max' } }), undefined);
  assert.equal(limitIn(tree), undefined, 'no files: the root of the machine');
});

test('version 2, nested: the smallest limit on the way up counts, memory.high too', () => {
  const at = '/sys/fs/cgroup/a.slice/b.service';
  const tree = { group: '0::/a.slice/b.service', mounts: V2 };
  const files = { [`${at}/memory.max`]: 'max', [`${at}/memory.high`]: 300 * MIB };
  assert.deepEqual(limitIn({ ...tree, files }), [300, `${at}/memory.high`]);
  const above = '/sys/fs/cgroup/a.slice/memory.max';
  assert.deepEqual(limitIn({ ...tree, files: { ...files, [above]: 200 * MIB } }), [200, above]);
  const aside = { '/sys/fs/cgroup/c.slice/memory.max': MIB };
  assert.deepEqual(limitIn({ ...tree, files: { ...files, ...aside } }), [300, `${at}/memory.high`]);
});

test('version 1: the largest number is no limit, groups above count', () => {
  const at = '/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes';
  const tree = { group: '5:cpu:/other\n4:hugetlb,memory:/docker/x\n0::/', mounts: V1 };
  assert.equal(limitIn({ ...tree, files: { [at]: NONE_V1 } }), undefined);
  assert.deepEqual(limitIn({ ...tree, files: { [at]: 200 * MIB } }), [200, at]);
  const above = '/sys/fs/cgroup/memory/docker/memory.limit_in_bytes';
  const files = { [at]: 200 * MIB, [above]: 100 * MIB };
  assert.deepEqual(limitIn({ ...tree, files }), [100, above]);
});

test('version 1 in a container: only its own group is mounted', () => {
  const mounts = '35 31 0:32 /docker/x /sys/fs/cgroup/memory\\040own ro - cgroup cgroup rw,memory';
  const at = '/sys/fs/cgroup/memory own';
  const files = {
    [`${at}/memory.limit_in_bytes`]: 300 * MIB,
    [`${at}/memory.stat`]: `cache 5\nhierarchical_memory_limit ${250 * MIB}\nrss 1`,
    [`${at}/inner/memory.limit_in_bytes`]: 280 * MIB,
  };
  const inner = { group: '4:memory:/docker/x/inner', mounts, files };
  assert.deepEqual(limitIn(inner), [250, `${at}/memory.stat`]);
  // The container sees a group that is not below what is mounted: the top is what there is.
  for (const group of ['4:memory:/', '4:memory:/../y', '4:memory:/docker/xy'])
    assert.deepEqual(limitIn({ group, mounts, files }), [250, `${at}/memory.stat`], group);
});

test('both versions side by side, and the group of another mount is left alone', () => {
  const max = '/sys/fs/cgroup/unified/a/memory.max';
  const one = '/sys/fs/cgroup/memory/b/memory.limit_in_bytes';
  const second = V2.replace('/sys/fs/cgroup', '/sys/fs/cgroup/unified');
  const foreign = '40 1 0:26 /else /mnt/else rw - cgroup2 cgroup rw';
  const files = { [max]: 400 * MIB, [one]: 500 * MIB, '/mnt/else/memory.max': MIB };
  const tree = { group: '4:memory:/b\n0::/a', mounts: [V1, foreign, second].join('\n'), files };
  assert.deepEqual(limitIn(tree), [400, max]);
});

test('nothing that makes sense is no limit', () => {
  const max = '/sys/fs/cgroup/memory.max';
  assert.equal(limitIn({}), undefined);
  assert.equal(limitIn({ group: '0::/' }), undefined);
  assert.equal(limitIn({ mounts: V2, files: { [max]: MIB } }), undefined);
  for (const text of ['', '0', '-1', '12 MiB', '1e9'])
    assert.equal(limitIn({ group: '0::/', mounts: V2, files: { [max]: text } }), undefined, text);
});

/** A new group with that limit, or why there is none. */
function realGroup(bytes: number): { folder: string } | { skip: string } {
  const name = `thrustmq-test-${process.pid}`;
  for (const [top, file] of [
    ['/sys/fs/cgroup/memory', 'memory.limit_in_bytes'],
    ['/sys/fs/cgroup', 'memory.max'],
  ] as const) {
    const folder = join(top, name);
    if (!fs.existsSync(join(top, 'cgroup.procs'))) continue;
    try {
      fs.mkdirSync(folder);
      fs.writeFileSync(join(folder, file), String(bytes), { flag: 'r+' });
      return { folder };
    } catch {
      if (fs.existsSync(folder)) fs.rmdirSync(folder);
    }
  }
  return { skip: 'no control group with a limit can be made here (it needs root)' };
}

test('a broker in a real group takes what it leaves, and complains about more', async (context) => {
  const made = realGroup(400 * MIB);
  if ('skip' in made) return context.skip(made.skip);
  const { folder } = made;
  const inside = (...args: string[]): Running => {
    const script = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
    const command = ['-c', script, folder, process.execPath, MAIN, 'serve', ...args];
    return new Running('sh', command, { env: plainEnvironment(), cwd: root });
  };
  try {
    const { stdout } = await inside('--print-config').ended;
    const { config, origins } = JSON.parse(stdout);
    assert.equal(config.memory.budgetBytes, 272 * MIB);
    assert.equal(origins.memory.source, 'cgroup');
    assert.ok(origins.memory.name.includes(folder), origins.memory.name);
    const ports = ['--intake-port', '0', '--exhaust-port', '0', '--dashboard-port', '0'];
    await using broker = inside('--json', '--memory', '512MiB', ...ports);
    const [line] = await broker.output(/^.*"event":"ready".*$/m);
    assert.match(broker.stdout, /"level":"warn".*"event":"memory.limit".*limit is 400 MiB/);
    const probe = await fetch(`http://127.0.0.1:${JSON.parse(line).dashboard}/readyz?verbose`);
    const { ok, checks } = (await probe.json()) as { ok: boolean; checks: Record<string, unknown> };
    assert.ok(ok, 'it is ready nevertheless');
    assert.match(JSON.stringify(checks.memory), /"ok":true.*limit is 400 MiB/);
    broker.child.kill('SIGTERM');
    assert.equal((await broker.ended).code, 0);
  } finally {
    fs.rmdirSync(folder);
  }
});
