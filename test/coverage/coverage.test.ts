// The measure of coverage itself: instrumented scripts do what they did, each outcome of each kind
// of branch is counted for itself, and what is missing is told with its line.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { instrument } from './instrument.ts';
import { readCounts, reportOf, rowsOf } from './report.ts';

const BUILD = fileURLToPath(new URL('../../', import.meta.url));
const COUNTERS = fileURLToPath(new URL('./counters.js', import.meta.url));

interface Ran {
  /** What the script printed. */
  said: string;
  /** "what: times" of each outcome. */
  counted: string[];
}

/** Runs a script, instrumented, in a process of its own. */
function counted(text: string): Ran {
  const folder = fs.mkdtempSync(path.join(BUILD, 'counted-'));
  try {
    // Counts are written beside the counters, so each run has its own.
    const home = path.join(folder, 'test', 'coverage');
    fs.mkdirSync(home, { recursive: true });
    fs.copyFileSync(COUNTERS, path.join(home, 'counters.js'));
    const made = instrument(text, 'it', pathToFileURL(path.join(home, 'counters.js')).href);
    assert.equal(made.text.split('\n').length, text.split('\n').length, 'lines have moved');
    fs.writeFileSync(path.join(home, 'it.js'), made.text);
    const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(home, 'it.js')], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    const counts = readCounts(path.join(folder, 'counts')).get('it') ?? [];
    return { said: stdout, counted: made.outcomes.map(({ what }, i) => `${what}: ${counts[i]}`) };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

const KINDS: [name: string, text: string, said: string, counted: string[]][] = [
  ['if', 'if (1) console.log(1);', '1\n', ['if is true: 1', 'if is false: 0']],
  ['?:', 'console.log(0 ? 1 : 2);', '2\n', ['?: is true: 0', '?: is false: 1']],
  [
    'loops',
    'for (let i = 0; i < 2; i++) console.log(i);\nfor (const a of []) a();\nfor (;;) break;',
    '0\n1\n',
    ['loop goes on: 2', 'loop ends: 1', 'loop has something: 0'],
  ],
  [
    '&& and ||',
    'console.log(0 && 1, 0 || 2);',
    '0 2\n',
    ['left of && is true: 0', 'left of && is false: 1'].concat([
      'left of || is true: 0',
      'left of || is false: 1',
    ]),
  ],
  [
    '?? and ?.',
    'const a = { b: null };\nconsole.log(a?.b ?? 7, a.b?.c);',
    '7 undefined\n',
    ['left of ?? is there: 0', 'left of ?? is missing: 1'].concat(
      ['left of ?. is there: 1', 'left of ?. is missing: 0'],
      ['left of ?. is there: 0', 'left of ?. is missing: 1'],
    ),
  ],
  [
    '?.() keeps its object',
    'const a = { x: 3, f() { return this.x; } };\nconsole.log(a.f?.(), a.g?.());',
    '3 undefined\n',
    ['function is called: 1'].concat(
      ['left of ?.() is there: 1', 'left of ?.() is missing: 0'],
      ['left of ?.() is there: 0', 'left of ?.() is missing: 1'],
    ),
  ],
  [
    '??= and ||=',
    'class A { #b; f() { this.#b ??= 4; this.#b ||= 5; return this.#b; } }\n' +
      'console.log(new A().f());',
    '4\n',
    ['function is called: 1'].concat(
      ['left of ??= is there: 0', 'left of ??= is missing: 1'],
      ['left of ||= is true: 1', 'left of ||= is false: 0'],
    ),
  ],
  [
    'switch',
    'const f = (x) => { switch (x) { case 1: case 2: return "a"; case 3: return "b"; } };\n' +
      'console.log(f(2), f(9));',
    'a undefined\n',
    ['function is called: 2', 'case 1: 0', 'case 2: 1', 'case 3: 0', 'no case: 1'],
  ],
  [
    'catch, default values and functions',
    'function f(x = 1) { try { if (x) throw x; } catch { return () => ({ y: 2 }); } }\n' +
      'console.log(f()().y);',
    '2\n',
    ['function is called: 1', 'default value is used: 1', 'catch is entered: 1'].concat(
      ['function is called: 1'],
      ['if is true: 1', 'if is false: 0'],
    ),
  ],
];

for (const [name, text, said, outcomes] of KINDS)
  test(`counted: ${name}`, () => {
    const ran = counted(text);
    assert.equal(ran.said, said);
    assert.deepEqual([...ran.counted].sort(), [...outcomes].sort());
  });

test('a process that ends with process.exit counts, and processes are added up', () => {
  assert.deepEqual(counted('if (process.pid) process.exit(0);').counted, [
    'if is true: 1',
    'if is false: 0',
  ]);
  const folder = fs.mkdtempSync(path.join(BUILD, 'counted-'));
  try {
    fs.writeFileSync(path.join(folder, '1.json'), '{"a":[1,0]}');
    fs.writeFileSync(path.join(folder, '2.json'), '{"a":[2,0],"b":[4]}');
    assert.deepEqual(Object.fromEntries(readCounts(folder)), { a: [3, 0], b: [4] });
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
});

test('an optional call that cannot be counted is refused, not left out', () => {
  assert.throws(() => instrument('a().b?.();', 'it', ''), /a\(\)\.b \?\.\(\) can't be counted/);
  assert.throws(() => instrument('a.b?.().c;', 'it', ''), /a\.b \?\.\(\) can't be counted/);
});

test('what never happened is told with its line; a script that nobody loads is all missing', () => {
  const read = (name: string) => fs.readFileSync(path.join(BUILD, 'src/log/files', name), 'utf8');
  const text = read('blocks.js');
  const { outcomes } = instrument(text, 'src/log/files/blocks.ts', '');
  const script = { source: 'src/log/files/blocks.ts', text, map: read('blocks.js.map'), outcomes };
  const [row] = rowsOf([script], new Map());
  assert.equal(row!.missing.length, outcomes.length);
  const all = new Map([['src/log/files/blocks.ts', outcomes.map(() => 1)]]);
  assert.deepEqual(rowsOf([script], all)[0]!.missing, []);
  const source = fs
    .readFileSync(
      fileURLToPath(new URL('../../../src/log/files/blocks.ts', import.meta.url)),
      'utf8',
    )
    .split('\n');
  for (const [i, { what }] of outcomes.entries()) {
    const [, line, said] = /^src\/log\/files\/blocks\.ts:(\d+): (.*)$/.exec(row!.missing[i]!)!;
    assert.equal(said, what);
    if (what.startsWith('function')) assert.match(source[Number(line) - 1]!, /function|=>/);
  }
  const report = reportOf([row!, { source: 'b', outcomes: 2000, missing: ['b:1: if is true'] }]);
  assert.match(
    report,
    /\nall +2006 +7 +99\.6 %\n\nnever happened:\n {2}src\/log\/files\/blocks\.ts:\d+: /,
  );
  assert.match(report, /\nb +2000 +1 +99\.9 %\n/);
});

test('the command takes no arguments', () => {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [main, 'x'], { encoding: 'utf8' });
  assert.deepEqual([status, stderr], [2, 'usage: npm run coverage\n']);
});
