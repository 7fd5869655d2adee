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

test('nothing is left for later', () => {
  const marks = new RegExp(`\\b(${['TO', 'FIX'].map((s, i) => s + ['DO', 'ME'][i]).join('|')})\\b`);
  none(each((line, where) => (marks.test(line) ? `${where}: do it or file it` : undefined)));
});

// Who may import whom. A room may always import itself and assembly/layout.ts.
const ROOMS: Record<string, string[]> = {
  'src/core': [],
  'src/codec': ['src/core'],
  'src/log': ['src/core', 'src/codec'],
  'src/wasm': ['src/core', 'node:fs', '@assemblyscript/loader'],
  'src/time': ['node:'],
  'src/io': ['src/core', 'src/log', 'src/time', 'node:', 'pino', 'pino-pretty'],
  'src/client': ['src/codec', 'src/time', 'node:'],
  'src/config': ['src/core', 'node:', 'zod', 'smol-toml'],
  'src/load': ['src/codec', 'src/time', 'node:'],
  'src/page': [
    'src/core',
    'src/dashboard/history.ts',
    'src/dashboard/messages.ts',
    'preact',
    'uplot',
  ],
  'src/dashboard': ['src/core', 'src/io', 'src/time', 'node:', 'uWebSockets.js', 'ws'],
};

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
        to === 'assembly/layout.ts' ||
        ROOMS[room]!.some(
          (one) => to === one || to.startsWith(one.endsWith(':') ? one : `${one}/`),
        );
      return allowed ? undefined : `${where} imports ${to}: ${room} may not`;
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

test('only one file knows uWebSockets.js, and only wasm/ knows the module', () => {
  none(
    each((line, where, { name }) => {
      if (/['"]uWebSockets\.js['"]/.test(line) && /import/.test(line) && name.startsWith('src/'))
        return name === 'src/dashboard/uws.ts' ? undefined : `${where}: go through transport.ts`;
      if (
        /wasm\/(engine|instance)\.ts'/.test(line) &&
        /^src\/(core|log|codec|io|client)\//.test(name)
      )
        return `${where}: take the Codec port`;
      return undefined;
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
      'test/faults/(main|pressure)|test/.*(\\.test|fake-|-process))',
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
