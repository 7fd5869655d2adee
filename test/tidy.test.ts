// Style as a test: sizes, import directions, banned calls. What it can't see, biome does: function
// length, unused code, formatting. Each finding is printed as file:line with what to do instead.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const COLUMNS_MAX = 100;
const FILE_LINES_MAX = 500;
const TEST_LINES_MAX = 800;

interface Source {
  name: string;
  lines: string[];
}

// Files that belong to the project: tracked, or new and not ignored.
function sources(): Source[] {
  const listed = spawnSync('git', ['ls-files', '-co', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  const names =
    listed.status === 0
      ? listed.stdout.split('\n').filter((name) => name !== '')
      : walk('assembly').concat(walk('src'), walk('test'), walk('bench'));
  return names
    .filter((name) => /\.tsx?$/.test(name) && fs.existsSync(path.join(ROOT, name)))
    .map((name) => ({ name, lines: fs.readFileSync(path.join(ROOT, name), 'utf8').split('\n') }));
}

function walk(folder: string): string[] {
  return fs
    .readdirSync(path.join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)));
}

const files = sources();

function none(findings: string[]): void {
  assert.equal(findings.length, 0, `\n${findings.join('\n')}`);
}

function each(check: (line: string, where: string, file: Source) => string | undefined): string[] {
  return files.flatMap((file) =>
    file.lines.flatMap((line, i) => check(line, `${file.name}:${i + 1}`, file) ?? []),
  );
}

test('there is something to check', () => {
  assert.ok(files.length > 50, `only ${files.length} sources found in ${ROOT}`);
});

test(`lines are at most ${COLUMNS_MAX} columns, sentences for people aside`, () => {
  none(
    each((line, where) =>
      line.length > COLUMNS_MAX && !/['"`].*[ ,;].*/.test(line)
        ? `${where} has ${line.length} columns: break it`
        : undefined,
    ),
  );
});

test('files keep their size', () => {
  none(
    files.flatMap(({ name, lines }) => {
      const most = name.startsWith('test/') ? TEST_LINES_MAX : FILE_LINES_MAX;
      return lines.length > most
        ? [`${name}:1 has ${lines.length} lines, ${most} are allowed: split it by purpose`]
        : [];
    }),
  );
});

test('every file begins by saying what it owns', () => {
  none(
    files.flatMap(({ name, lines }) => {
      const first = lines[0]!.startsWith('#!') ? lines[1]! : lines[0]!;
      return /^\/\/ \S/.test(first) ? [] : [`${name}:1 has no comment on top: say what it is for`];
    }),
  );
});

test('the test files that begin first are there, each once', () => {
  const text = fs.readFileSync(path.join(ROOT, 'test', 'longest.json'), 'utf8');
  const names = JSON.parse(text) as string[];
  none(
    names
      .filter((name) => !fs.existsSync(path.join(ROOT, 'test', `${name}.test.ts`)))
      .map((name) => `test/longest.json: ${name} is gone`),
  );
  assert.equal(new Set(names).size, names.length);
});

test('nothing is left for later', () => {
  const marks = new RegExp(`\\b(${['TO', 'FIX'].map((s, i) => s + ['DO', 'ME'][i]).join('|')})\\b`);
  none(each((line, where) => (marks.test(line) ? `${where}: do it or file it` : undefined)));
});

// Who may import whom. A room may always import itself and the layouts of assembly.
const ROOMS: Record<string, string[]> = {
  'src/contract': [],
  'src/core': ['src/contract'],
  'src/codec': ['src/core'],
  'src/log': ['src/core', 'src/codec'],
  'src/wasm': ['src/core', 'node:fs', '@assemblyscript/loader'],
  'src/time': ['node:'],
  'src/os': [],
  'src/io': [
    'src/contract',
    'src/core',
    'src/log',
    'src/os',
    'src/time',
    'node:',
    'pino',
    'pino-pretty',
    '@nats-io/jetstream',
    '@nats-io/obj',
    '@nats-io/transport-node',
  ],
  'src/client': ['src/codec', 'src/time', 'node:'],
  'src/config': ['src/core', 'src/os', 'node:', 'zod', 'smol-toml'],
  'src/load': ['src/codec', 'src/time', 'node:'],
  'src/page': [
    'src/contract',
    'src/dashboard/history.ts',
    'src/dashboard/messages.ts',
    'preact',
    'uplot',
  ],
  'src/dashboard': ['src/contract', 'src/io', 'src/time', 'node:', 'uWebSockets.js', 'ws'],
};

// The rooms within core and log, from the ground up: each may import those before it, and none
// behind it. '' is the files of the folder itself that stand there.
const FLOORS: Record<string, string[]> = {
  'src/core': [
    'ports assert.ts limits.ts',
    'collections records timing metrics text',
    'rules cluster',
    'memory buckets',
    'following',
    'commit',
    'fairness segments',
    'delivery',
    'connections',
    'broker-options.ts hosts.ts rule-changes.ts earlier-pauses.ts pause-changes.ts rules-in-force.ts broker.ts ticks.ts maintenance.ts waiting.ts',
    'admin',
  ],
  'src/log': [
    'files',
    'scan',
    'segments',
    'index read-cache',
    'recovery compaction',
    'backup.ts file-log.ts giving-back.ts indexed-segments.ts opening.ts segment-due-times.ts upkeep.ts',
    'following base',
    'tools',
  ],
};
// Of core, log stands on the rooms that know nothing of the broker, and on these files.
const LOG_ON_CORE = new RegExp(
  '^src/core/((limits|assert)\\.ts|(ports|collections|records|cluster)/|' +
    'segments/(state|state-builder|compaction|id-windows|indexing)\\.ts|commit/(commit|placing)\\.ts)',
);

function roomOf(file: string): string | undefined {
  return Object.keys(ROOMS).find((room) => file.startsWith(`${room}/`));
}

test('imports go only where the rooms allow', () => {
  none(
    each((line, where, { name }) => {
      const room = roomOf(name);
      const target = /(?:from|import)\s*\(?\s*'([^']+)'/.exec(line)?.[1];
      if (room === undefined || target === undefined) return undefined;
      const to = target.startsWith('.') ? path.join(path.dirname(name), target) : target;
      const allowed =
        to.startsWith(`${room}/`) ||
        /^assembly\/layout(-placed|-cluster)?\.ts$/.test(to) ||
        ROOMS[room]!.some(
          (one) => to === one || to.startsWith(one.endsWith(':') ? one : `${one}/`),
        );
      return allowed ? undefined : `${where} imports ${to}: ${room} may not`;
    }),
  );
});

// The room of a file within core or log, and how high that stands.
function storeyOf(file: string): { top: string; name: string; floor: number } | undefined {
  const top = Object.keys(FLOORS).find((each) => file.startsWith(`${each}/`));
  if (top === undefined) return undefined;
  const name = file.slice(top.length + 1).split('/')[0]!;
  const floor = FLOORS[top]!.findIndex((rooms) => rooms.split(' ').includes(name));
  return { top, name, floor };
}

// What a line imports from the project, as a path from its root.
function targetOf(line: string, name: string): string | undefined {
  const target = /(?:from|import)\s*\(?\s*'(\.[^']+)'/.exec(line)?.[1];
  return target === undefined ? undefined : path.join(path.dirname(name), target);
}

// Rooms, floors, and pairs of rooms of which one imports the other.
function plan(top: string): string {
  const rooms = FLOORS[top]!.flatMap((floor) => floor.split(' ')).filter((one) => !/\./.test(one));
  const arrows = new Set<string>();
  each((line, _where, { name }) => {
    const from = storeyOf(name);
    const to = storeyOf(targetOf(line, name) ?? '');
    if (from?.top === top && to?.top === top && from.name !== to.name)
      arrows.add(`${from.name} ${to.name}`);
    return undefined;
  });
  return `${top}: ${rooms.length} rooms, ${FLOORS[top]!.length} floors, ${arrows.size} arrows`;
}

test('within core and log imports go down, never up', (t) => {
  for (const top of Object.keys(FLOORS)) t.diagnostic(plan(top));
  none(
    each((line, where, { name }) => {
      const from = storeyOf(name);
      if (from?.floor === -1) return `${where}: ${from.name} is no room of ${from.top}: see FLOORS`;
      const target = targetOf(line, name);
      if (from === undefined || target === undefined) return undefined;
      if (from.top === 'src/log' && target.startsWith('src/core/') && !LOG_ON_CORE.test(target))
        return `${where} imports ${target}: log may not`;
      const to = storeyOf(target);
      if (to?.top !== from.top || to.name === from.name || to.floor < from.floor) return undefined;
      // Files of one folder that stand side by side.
      if (to.floor === from.floor && from.name.endsWith('.ts') && to.name.endsWith('.ts'))
        return undefined;
      return `${where} imports ${target}: ${to.name} does not stand below ${from.name}`;
    }),
  );
});

// Files that import each other, round about. No new one may come; one that went is to be taken out.
const CIRCLES = ['src/cli/announced.ts src/cli/runtime.ts', 'src/core/broker.ts src/core/ticks.ts'];

// Groups of files each of which reaches all others of its group by imports.
function circles(imports: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const reach = new Map([...imports].map(([file, targets]) => [file, new Set(targets)]));
  for (const [middle, further] of reach)
    for (const reached of reach.values())
      if (reached.has(middle)) for (const file of further) reached.add(file);
  const groups = [...reach].map(([file, reached]) =>
    [file, ...reached].filter((other) => other !== file && reach.get(other)?.has(file)),
  );
  const found = [...reach.keys()].flatMap((file, i) =>
    groups[i]!.length > 0 ? [[...new Set([file, ...groups[i]!])].sort().join(' ')] : [],
  );
  return [...new Set(found)].sort();
}

test('imports go in no circles but those that are known', () => {
  const sources = files.filter(({ name }) => name.startsWith('src/'));
  const imports = new Map(
    sources.map(({ name, lines }) => [
      name,
      new Set(lines.flatMap((line) => targetOf(line, name) ?? [])),
    ]),
  );
  assert.deepEqual(circles(imports), CIRCLES);
});

// A port is cut so that who takes it over, or stands in for it in a test, has little to write. What
// is inherited counts. `type A = B & C` says what one object is, for whoever makes it and hands it
// on, and does not count, because who uses it names the parts. Shapes of data are held to it, too.
const PORTS = 'src/core/ports/';
const MEMBERS_MAX = 8;

interface Port {
  name: string;
  where: string;
  own: string[];
  bases: string[];
}

// Interfaces of a file as the formatter leaves it: each member begins two columns in.
function interfacesOf({ name, lines }: Source): Port[] {
  const found: Port[] = [];
  let open: Port | undefined;
  lines.forEach((line, i) => {
    const head = /^(?:export )?interface (\w+)(?:<.*?>)?(?: extends (.+?))? \{(\})?$/.exec(line);
    if (head !== null) {
      const bases = head[2]?.split(',').map((base) => base.trim()) ?? [];
      open = { name: head[1]!, where: `${name}:${i + 1}`, own: [], bases };
      found.push(open);
    }
    if (head?.[3] !== undefined || line === '}') open = undefined;
    const member = /^ {2}(?:readonly )?([\w[(][\w\]]*)\??[:(<]/.exec(line)?.[1];
    if (member !== undefined) open?.own.push(member);
  });
  return found;
}

test(`no port has more than ${MEMBERS_MAX} members`, () => {
  const ports = new Map(
    files
      .filter(({ name }) => name.startsWith(PORTS))
      .flatMap((file) => interfacesOf(file).map((port) => [port.name, port])),
  );
  const membersOf = ({ own, bases }: Port): Set<string> =>
    new Set([...own, ...bases.flatMap((base) => [...membersOf(ports.get(base)!)])]);
  const counted = [...ports.values()].map((port) => ({ ...port, members: [...membersOf(port)] }));
  assert.ok(counted.length > 15 && counted.every(({ members }) => members.length > 0));
  none(
    counted
      .filter(({ members }) => members.length > MEMBERS_MAX)
      .map(
        ({ name, where, members }) =>
          `${where} ${name} has ${members.length} members (${members.join(', ')}): cut it by who uses it`,
      ),
  );
});

// Sources aim at so many lines. Those that are larger may shrink, and their bound with them.
const AIM_LINES = 300;
const LARGE: Record<string, number> = {
  'src/cli/bench.ts': 365,
  'src/cli/lifecycle.ts': 333,
  'src/client/consumer.ts': 310,
  'src/client/producer.ts': 344,
  'src/codec/plain.ts': 419,
  'src/codec/wire.ts': 408,
  'src/config/load.ts': 306,
  'src/core/broker.ts': 333,
  'src/core/buckets/buckets.ts': 315,
  'src/core/commit/commit.ts': 358,
  'src/dashboard/supervisor.ts': 315,
  'src/load/run.ts': 349,
  'src/log/compaction/compact.ts': 395,
  'src/log/file-log.ts': 346,
  'src/log/index/index-file.ts': 302,
  'src/log/index/index-store.ts': 371,
  'src/log/index/indexes.ts': 449,
  'src/log/read-cache/read-cache.ts': 304,
  'src/log/recovery/recovery.ts': 346,
  'src/log/segments/segments.ts': 362,
  'src/log/tools/repair.ts': 341,
  'src/log/tools/verify.ts': 399,
  'src/server.ts': 367,
};

test('files that are too large do not grow', () => {
  none(
    files.flatMap(({ name, lines }) => {
      if (!/^(src|assembly)\//.test(name)) return [];
      const most = LARGE[name] ?? AIM_LINES;
      return lines.length > most
        ? [`${name}:1 has ${lines.length} lines, ${most} are its most`]
        : [];
    }),
  );
});

const DETERMINISTIC = /^src\/(core|log|codec)\//;
const BANNED: [RegExp, string][] = [
  [/\bDate\.now\(|\bnew Date\(\)|\bperformance\.now/, 'take the time as an argument'],
  [/\bMath\.random\(/, 'take a seed as an argument'],
  [/\bset(Timeout|Interval|Immediate)\(/, 'take a port, as Wake or later'],
  [/\bBuffer\./, 'use Uint8Array and DataView'],
  [/\bprocess\./, 'take it as an argument'],
];

test('what decides does not touch the world', () => {
  none(
    each((line, where, { name }) => {
      if (!DETERMINISTIC.test(name) || /^\s*(\/\/|\*|\/\*)/.test(line)) return undefined;
      const hit = BANNED.find(([pattern]) => pattern.test(line));
      return hit === undefined ? undefined : `${where} ${line.trim()}: ${hit[1]}`;
    }),
  );
});

// Node makes 1 ms of a delay beyond 24.8 days. The page runs in browsers, with delays of its own.
const TIMERS = /\bset(Timeout|Interval)\b|\bAbortSignal\.timeout\b|['"](node:)?timers\b/;

test('timers are made in one place', () => {
  none(
    each((line, where, { name }) =>
      name.startsWith('src/') &&
      !/^src\/(time|page)\//.test(name) &&
      TIMERS.test(line.replace(/\/\/.*/, ''))
        ? `${where} ${line.trim()}: use src/time, which keeps delays of any length`
        : undefined,
    ),
  );
});

test('the core runs to its end without waiting', () => {
  none(
    each((line, where, { name }) =>
      name.startsWith('src/core/') &&
      /\bawait\b|\bPromise\b|\basync\b/.test(line.replace(/\/\/.*/, ''))
        ? `${where}: use a completion`
        : undefined,
    ),
  );
});

test('only one file knows uWebSockets.js, one NATS, and only wasm/ knows the module', () => {
  none(
    each((line, where, { name }) => {
      if (/['"]uWebSockets\.js['"]/.test(line) && /import/.test(line) && name.startsWith('src/'))
        return name === 'src/dashboard/uws.ts' ? undefined : `${where}: go through transport.ts`;
      if (/['"]@nats-io\//.test(line) && /import|from/.test(line) && name.startsWith('src/'))
        return name === 'src/io/cluster/nats.ts' ? undefined : `${where}: go through nats.ts`;
      if (
        /wasm\/(engine|instance)\.ts'/.test(line) &&
        /^src\/(core|log|codec|io|client)\//.test(name)
      )
        return `${where}: take the codec's ports`;
      return undefined;
    }),
  );
});

// Files of core and log that are tested through another test, or that decide nothing.
const NO_TEST_OF_ITS_OWN: Record<string, string> = {
  'src/core/assert.ts': 'every bug that a test makes is said by it',
  'src/core/admin/bucket-rows.ts': 'admin.test reads the rows of lists and of single buckets',
  'src/core/admin/make-ready.ts': 'purge.test purges what waits, in entries and in indexes',
  'src/core/admin/pages.ts': 'admin.test turns the pages of connections and segments',
  'src/core/admin/purges.ts': 'admin.test purges, asks how it went and purges again',
  'src/core/admin/refusals.ts': 'admin.test matches what is answered to every bad command',
  'src/core/buckets/idle-buckets.ts': 'buckets.test forgets idle buckets, and only those',
  'src/core/buckets/indexed-lines.ts':
    'buckets.test releases, finds again and parks, against a model',
  'src/core/buckets/seeking.ts': 'ready-again.test seeks what came back, in entries and indexes',
  'src/core/buckets/sought.ts': 'an order and a cut, which ready-again.test takes from',
  'src/core/buckets/subscription.ts': 'fields of a bucket, which buckets.test changes',
  'src/log/base/finding.ts': 'building.test builds logs of what it finds, and of what it must not',
  'src/core/cluster/publishing.ts':
    'ownership.test and sim/cluster: replies that are lost, late or of another',
  'src/core/cluster/reading.ts': 'sim/cluster: joins, streams that are purged or went back',
  'src/core/commit/batch.ts': 'fields of a batch, which commit.test fills and reads',
  'src/core/commit/placing.ts': 'places.test moves messages with it, cut off at every step',
  'src/core/commit/cost.ts': 'constants and one sum, which fair-share.test pays',
  'src/core/commit/open-segment.ts': 'commit.test fills segments, rings and the reserve of a disk',
  'src/core/connections/ruled-runs.ts': 'delays.test and copies.test publish what rules stop',
  'src/core/delivery/due-segments.ts':
    'fields of segments, which due-times.test adds, joins and drops',
  'src/core/admin/explain-sources.ts': 'admin.test: what waits in sources, and why it does',
  'src/core/buckets/active-sources.ts': 'virtual-buckets.test: who is in which ring, and when',
  'src/core/delivery/record-fetch.ts': 'consumer.test and lives.test deliver from disk',
  'src/core/delivery/watched-sources.ts': 'virtual-sources.test: sources whose lines are on disk',
  'src/core/delivery/notices.ts': 'texts, which the tests of what they tell of match',
  'src/core/buckets/slice.ts': 'only fields',
  'src/core/delivery/states.ts': 'the table whose cells settlement.test walks',
  'src/core/hosts.ts': 'producer.test and consumer.test: sessions of a whole broker',
  'src/core/maintenance.ts':
    'core/broker.test and log/lives.test: indexes, compaction and checkpoint',
  'src/core/memory/budget.ts': 'one number, which eviction.test moves',
  'src/core/metrics/counters.ts': 'only counters; report.test reads them',
  'src/core/earlier-pauses.ts': 'pause-changes.test takes over what a file says',
  'src/core/commit/storing.ts': 'rule-changes.test and log/settings.test store what it packs',
  'src/core/segments/settings.ts': 'log/settings.test: set, removed, read back after each crash',
  'src/core/text/ids.ts': 'paused.test asks for buckets by id and by words',
  'src/log/read-cache/read-record.ts': 'log/settings.test reads what a start does not',
  'src/core/rules-in-force.ts': 'delivery-limits.test and quotas.test put other rules in force',
  'src/core/rules/compile.ts': 'calls the checks, each of which has a test that calls it',
  'src/core/rules/lookup.ts': 'rule-table.test walks over all rules beside it',
  'src/core/rules/values.ts': 'keys.test reads, writes and refuses through every key',
  'src/core/records/ids.ts': 'dedup.test reads what it packs, and log/dedup.test starts with it',
  'src/core/segments/id-windows.ts': 'dedup.test: what is over goes, and all is at rest',
  'src/core/records/due.ts': 'columns, which due-file.test and due-times.test fill and read',
  'src/core/segments/restoring.ts': 'state-builder.test and every start with a checkpoint: pages',
  'src/core/segments/state.ts': 'only puts the parts together that the other tests use',
  'src/log/compaction/compactor.ts':
    'file-log.test, lives.test, compact-crash.test: in service, cut short',
  'src/log/compaction/pieces.ts': 'compact.test and places.test read what is put together of them',
  'src/log/index/checkpoint-numbers.ts': 'checkpoint.test reads back pages of every width',
  'src/log/tools/dump-placed.ts': 'places.test dumps one of each',
  'src/log/files/errors.ts': 'one class without decisions',
  'src/log/files/files.ts': 'the port; short writes, which it goes on with, are in indexes.test',
  'src/log/files/promises.ts': 'the port as promises, without decisions',
  'src/core/delivery/due-audit.ts': 'waiting.test takes entries away, and what they were about',
  'src/core/records/due-of.ts': 'two rows of fields; waiting.test and due-lives.test fire by them',
  'src/log/compaction/due-times.ts': 'due-lives.test fires after a compaction, from what it kept',
  'src/log/index/due-files.ts': 'due-index.test: names, files of others, closed midway',
  'src/log/index/due-open.ts': 'due-index.test opens whole, torn and foreign files',
  'src/log/index/due-reader.ts': 'due-file.test and due-index.test read every byte',
  'src/log/index/due-writer.ts': 'due-file.test and due-index.test: what was written is read',
  'src/log/index/id-cover.ts': 'dedup-on-disk.test: starts over files that are whole, and not',
  'src/log/index/id-runs.ts': 'dedup-on-disk.test: brokers over it, life after life',
  'src/log/index/in-turn.ts': 'indexes.test and due-index.test: names change one by one',
  'src/log/index/index-writer.ts': 'indexes.test writes with it: crashes, failures, short writes',
  'src/log/index/open-indexes.ts': 'indexes.test bounds its files and tables',
  'src/log/indexed-segments.ts': 'file-log.test finds in segments that stand for several',
  'src/log/read-cache/elevator.ts': 'read-cache.test: thousands who read interleaved records',
  'src/log/read-cache/window-area.ts': 'read-cache.test fills the area, goes round and forgets',
  'src/log/read-cache/read-window.ts': 'fields of a window, which read-cache.test fills',
  'src/log/recovery/replay.ts': 'recovery.test: what it is driven with, and by',
  'src/log/segment-due-times.ts': 'due-lives.test: brokers over it, life after life',
  'src/log/upkeep.ts': 'file-log.test saves checkpoints and compacts through it',
  'src/log/tools/survey.ts': 'repair.test: every flipped bit and truncation goes through it',
};

// Whether a file has anything that runs, beside types.
function isCode(name: string): boolean {
  const { lines } = files.find((file) => file.name === name)!;
  return lines.some((line) => /^(export )?(abstract )?(class|function|const|let) /.test(line));
}

test('every file of core and log has a test that mirrors it', () => {
  const names = new Set(files.map(({ name }) => name));
  const without = [...names].filter(
    (name) =>
      /^src\/(core|log)\//.test(name) &&
      isCode(name) &&
      !names.has(name.replace(/^src/, 'test').replace(/\.ts$/, '.test.ts')),
  );
  none([
    ...without
      .filter((name) => NO_TEST_OF_ITS_OWN[name] === undefined)
      .map((name) => `${name}:1 has no test: write ${name.replace('src', 'test')}, .test.ts`),
    ...Object.keys(NO_TEST_OF_ITS_OWN)
      .filter((name) => !without.includes(name))
      .map((name) => `${name} has a test, or is gone: take it out of NO_TEST_OF_ITS_OWN`),
  ]);
});

test('no engine is shared by accident', () => {
  none(
    each((line, where, { name }) => {
      if (!name.startsWith('test/') || /^test\/(support\/engine|wasm\/|tidy)/.test(name)) return;
      if (/\bnew Engine\(\)/.test(line)) return `${where}: take freshEngine() of support/engine`;
      return /^\S.*\bfreshEngine\(/.test(line)
        ? `${where}: all tests of the file would share it: make one for each, or say why they may`
        : undefined;
    }),
  );
});

test('the page makes text of what peers sent, never markup', () => {
  const markup = /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|srcdoc/i;
  none(
    each((line, where, { name }) =>
      name.startsWith('src/page/') && markup.test(line)
        ? `${where} ${line.trim()}: let preact make a text node of it`
        : undefined,
    ),
  );
});

test('every source is used by something', () => {
  const imported = new Set<string>();
  for (const { name, lines } of files) {
    for (const match of lines.join('\n').matchAll(/['"](\.[^'"]+\.)(tsx?|js)['"]/g)) {
      const kind = match[2] === 'tsx' ? 'tsx' : 'ts';
      imported.add(path.join(path.dirname(name), match[1]! + kind));
    }
  }
  const entries = new RegExp(
    '^(src/main|src/client/index|src/page/main|bench/|assembly/index|' +
      'test/faults/(main|pressure)|test/e2e/full-size|test/.*(\\.test|fake-|-process))',
  );
  none(
    files.flatMap(({ name }) =>
      imported.has(name) ||
      entries.test(name) ||
      name.endsWith('.d.ts') ||
      name.startsWith('assembly/')
        ? []
        : [`${name}:1 is imported by nothing: remove it`],
    ),
  );
});

test('the lint finds nothing', () => {
  const biome = path.join(ROOT, 'node_modules', '.bin', 'biome');
  const ran = spawnSync(biome, ['check', '.', '--max-diagnostics=50'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  assert.equal(ran.status, 0, `${ran.stdout}${ran.stderr}`);
});
