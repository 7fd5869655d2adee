// Planted bugs find their place by syntax, whatever the code looks like, and say what is wrong when
// it is not there.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { misfitOf as misfitIn } from './misfits.ts';
import type { Mutant } from './mutant.ts';
import { Misfit, mutate } from './mutate.ts';
import { refit, rewritten } from './refit.ts';
import { Sources } from './sources.ts';
import { parseSource } from './syntax.ts';
import { unboundIn } from './unbound.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const LOG = `
export const LIMIT = 8;
export class Log<T> {
  readonly #list: T[] = [];
  #failed: Error | undefined = undefined;
  constructor(first: T) { this.#list.push(first); }
  get size(): number { return this.#list.length; }
  async #append(value: T, count = 1): Promise<void> {
    for (let i = 0; i < count; i++) {
      // said here, and not by the snippet
      if (this.#failed !== undefined || (count > LIMIT)) return;
      this.#list.push(
        value!,
      ); this.#note("added", [...this.#list] as const);
    }
    while (this.#list.length > LIMIT) this.#list.shift();
  }
  #note(what: string, list: readonly T[]): void {}
}
export function twice(n: number): { n: number } {
  const more = n + n;
  return { n: more };
}
`;
const SCAN = `
// @ts-ignore: decorator
@inline
function holds(at: u32): bool { return load<u32>(at) == load<u64>(at + 4); }
`;
const sources = new Sources(
  new Map([
    ['src/log.ts', LOG],
    ['src/other.ts', 'export function pop(): void {}\n'],
    ['assembly/scan.ts', SCAN],
  ]),
);

function mutant(member: string, find: string, replace: string, file = 'src/log.ts'): Mutant {
  return { name: 'a bug', file, member, find, replace, test: 'test/a.test.ts', caughtBy: 'a' };
}

/** What is new of the text with the fault, and what is gone of the text without it. */
function change(member: string, find: string, replace: string, file = 'src/log.ts'): string[] {
  const before = sources.text(file)!;
  const after = mutate(mutant(member, find, replace, file), sources);
  let from = 0;
  while (before[from] === after[from]) from++;
  let to = 0;
  while (to < before.length - from && before.at(-1 - to) === after.at(-1 - to)) to++;
  const between = (text: string) => text.slice(from, text.length - to).trim();
  return [between(before), between(after)];
}

function misfitOf(member: string, find: string, replace = '0', file = 'src/log.ts'): string {
  try {
    mutate(mutant(member, find, replace, file), sources);
  } catch (error) {
    assert.ok(error instanceof Misfit, String(error));
    return error.message;
  }
  return assert.fail('it fits');
}

test('white space, comments, quotes, brackets, types and trailing commas do not count', () => {
  const find = "this.#list.push(value)\n;this.#note('added',\n [...this.#list,])";
  const text = mutate(mutant('Log.#append', find, 'break'), sources);
  assert.match(text, /return;\s+break;\s+}\s+while/);
  assert.deepEqual(change('Log.#append', '((count)) > LIMIT /* or so */', 'false'), [
    'count > LIMIT',
    '(false)',
  ]);
  assert.deepEqual(change('LIMIT', 'const LIMIT: number = 0x8', 'const LIMIT = 9'), ['8', '9']);
});

test('the members of a class, and what stands at top level, are told apart', () => {
  assert.deepEqual(change('Log.constructor', 'this.#list.push(first);', ''), [
    'this.#list.push(first);',
    '',
  ]);
  assert.deepEqual(change('Log.size', 'this.#list.length', '0'), ['this.#list.length', '(0)']);
  assert.deepEqual(change('Log.#list', '[]', '[1]'), ['[]', '([1])']);
  assert.deepEqual(change('twice', '{ n: more }', '{ n }'), ['{ n: more }', '({ n })']);
});

test('what is alone behind an if or a loop stays alone, and may go', () => {
  assert.deepEqual(change('Log.#append', 'this.#list.shift()', 'this.#list.pop()'), [
    'shift',
    'pop',
  ]);
  const two = mutate(mutant('Log.#append', 'this.#list.shift();', 'twice(1); twice(2);'), sources);
  assert.match(two, /while \(this.#list.length > LIMIT\) \{ twice\(1\); twice\(2\); }/);
  const none = mutate(mutant('Log.#append', 'this.#list.shift();', ''), sources);
  assert.match(none, /while \(this.#list.length > LIMIT\) \{ {2}}/);
});

test('in the sources of the module types count', () => {
  const file = 'assembly/scan.ts';
  assert.deepEqual(change('holds', 'load<u32>(at)', 'load<u16>(at)', file), [
    'load<u32>(at',
    '(load<u16>(at)',
  ]);
  assert.match(misfitOf('holds', 'load<u64>(at)', '0', file), /not in holds of assembly\/scan.ts/);
});

test('a bug that does not fit says where it looked and what is nearest', () => {
  const looked = misfitOf('Log.#append', 'this.#failed !== undefined || count > MOST');
  assert.match(
    looked,
    /"a bug" does not fit: not in Log.#append of src\/log.ts:\n {4}this.#failed/,
  );
  assert.match(
    looked,
    /nearest in src\/log.ts:11, Log.#append \(\d+ %\):\n {4}this.#failed !== und/,
  );
  const most = misfitOf('Log.#append', 'this.#list.length > MOST');
  assert.match(
    most,
    /MOST\n {2}nearest in [^\n]*:16, Log.#append .*\n {4}this.#list.length > LIMIT$/m,
  );
  const moved = misfitOf('Log.#append', 'const more = n + n;');
  assert.match(moved, /it stands in src\/log.ts:21, twice/);
  const member = misfitOf('Log.#appended', 'this.#list.shift()');
  assert.match(member, /no member Log.#appended in src\/log.ts:\n {4}this.#list.shift\(\)\n/);
  assert.match(member, /\n {2}it stands in src\/log.ts:16, Log.#append/);
  assert.match(misfitOf('Log.#gone', 'gone()'), /its members: LIMIT, Log.#list, Log.#failed, /);
  const file = misfitOf('Log.#append', 'this.#list.shift()', '0', 'src/old.ts');
  assert.match(
    file,
    /there is no src\/old.ts:\n {4}.*\n {2}it stands in src\/log.ts:16, Log.#append/,
  );
});

test('a bug that is not one is refused', () => {
  assert.match(
    misfitOf('Log.#append', 'this.#list'),
    /4 times in .*, lines 12, 14, 16, 16: take more/,
  );
  assert.match(misfitOf('Log.#append', ''), /it looks for nothing/);
  assert.match(misfitOf('Log.#append', 'if (', ''), /its "find" does not parse/);
  assert.match(misfitOf('Log.#append', 'count > LIMIT', 'return 1'), /no statement can: return 1/);
  assert.match(misfitOf('Log.#append', 'count > LIMIT', ''), /no statement can/);
  assert.match(misfitOf('Log.#append', 'count > LIMIT', '(count) > LIMIT!'), /it changes nothing/);
  assert.match(misfitOf('Log.#append', 'let i = 0', 'a(); b();'), /does not parse with it/);
  assert.match(misfitOf('Log.#append', 'break', ''), /not in Log.#append/);
  assert.match(misfitOf('Log.#append', 'count > LIMIT', 'this.#gone'), /uses #gone, which/);
});

test('a bug that uses what nothing binds, or leaves such a use behind, is refused', () => {
  const unbound = (member: string, find: string, replace: string) =>
    misfitOf(member, find, replace).replace(/.*nothing in src\/log.ts binds what it uses: /, '');
  assert.equal(unbound('Log.#append', 'count > LIMIT', 'count > most || more'), 'most, more');
  assert.equal(unbound('Log.#append', 'this.#list.shift()', 'this.#note("", i)'), 'i');
  assert.equal(unbound('twice', 'const more = n + n;', ''), 'more');
});

test('a name is bound by what is around its use, and by nothing beside it', () => {
  const unbound = (text: string) => [...unboundIn(parseSource(text))].join(' ');
  for (const text of [
    'import a, { type T, b as c } from "x"; a(c); const t = (v: T): v is T => v as T;',
    'export const [a, { b, c: d = a, ...e }] = f(); function f({ g }, [h] = [g], ...i) { h(i, b, d, e); }',
    'for (const [a] of []) a; for (let i = 0; i < 9; i++) i; for (const k in {}) k;',
    'try { fail(); } catch ({ code }) { code; } function fail() { return arguments; }',
    'class A { static #b = 1; static { const c = new A(); c.d.e = A.#b; } f(g) { return g; } }',
    'switch (1) { case 1: { break; } default: const a = 1; a; }',
    'const a = function again() { again(); }; a(class B { b = B; }); one: for (;;) continue one;',
    'export { p, type Q } from "y"; export * from "z"; console.log({ r: process }.r, import.meta);',
    'const s = 1; export { s as "t" }; ({ s }); (s satisfies Any)!; <Any>s;',
  ])
    assert.equal(unbound(text), '', text);
  for (const [text, names] of [
    ['import type { T } from "x"; import { type U } from "x"; T; U;', 'T U'],
    ['{ const a = 1; } a; if (1) { let b; } b;', 'a b'],
    ['for (const c of []); c; (d => 1)(d); try {} catch (e) { } e;', 'c d e'],
    ['const f = function g() {}; g(); ({ h: i, j }); k.l[m]; n!; (o as Any);', 'g i j k m n o'],
  ] as const)
    assert.equal(unbound(text), names, text);
});

test('a bug whose test is not there says so', () => {
  const fits = mutant('Log.size', 'this.#list.length', '0');
  assert.match(
    misfitIn(fits, sources, ROOT)!,
    /"a bug" does not fit: there is no test\/a.test.ts$/,
  );
  const moved = { ...fits, test: 'test/old/mutate.test.ts' };
  assert.match(
    misfitIn(moved, sources, ROOT)!,
    /\n {2}of that name: test\/planted\/mutate.test.ts/,
  );
  assert.equal(misfitIn({ ...fits, test: 'test/tidy.test.ts' }, sources, ROOT), undefined);
});

test('a bug whose code has moved is refitted in its list, where one place is nearest', (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'refit-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const list = path.join(folder, 'mutants.ts');
  const tryRefit = (from: Mutant, among = sources) => {
    const text = (each: Mutant) =>
      `[\n  {\n    name: 'a bug',\n    file: '${each.file}',\n    member: '${each.member}',\n  },\n];\n`;
    fs.writeFileSync(list, text(from));
    const moved = refit(from, among, folder);
    assert.equal(fs.readFileSync(list, 'utf8'), text(moved ?? from));
    return moved && `${moved.file} ${moved.member}`;
  };
  const find = 'this.#list.length';
  assert.equal(tryRefit(mutant('Log.size', find, '0', 'src/old.ts')), 'src/log.ts Log.size');
  assert.equal(tryRefit(mutant('Old.size', find, '0')), 'src/log.ts Log.size');
  assert.equal(tryRefit(mutant('Log.sum', 'n + n', '0')), 'src/log.ts twice');
  const both = new Sources(
    new Map([
      ['src/log.ts', 'class Log { size() { return a * b; } }'],
      ['src/shelf.ts', 'class Shelf { size() { return a * b; } }'],
    ]),
  );
  assert.equal(tryRefit(mutant('Shelf.size', 'a * b', '0'), both), 'src/shelf.ts Shelf.size');
  assert.equal(tryRefit(mutant('Old.size', 'a * b', '0'), both), 'src/log.ts Log.size');
  assert.equal(tryRefit(mutant('Old.size', 'a * b', '0', 'src/old.ts'), both), undefined);
  // Twice, nowhere, as often as before, or where it does not fit.
  assert.equal(tryRefit(mutant('Log.gone', find, '0')), undefined);
  assert.equal(tryRefit(mutant('Log.size', 'nowhere()', '0')), undefined);
  assert.equal(tryRefit(mutant('Log.#append', 'this.#list', '0')), undefined);
  assert.equal(tryRefit(mutant('Log.#append', 'if (', '0')), undefined);
  assert.equal(tryRefit(mutant('Old.#note', 'n + n', 'return')), undefined);
});

test('names with quotes are found in a list as well', () => {
  const old = mutant("Log.'odd'", 'n + n', '');
  const text = `    name: 'a bug',\n    file: 'src/log.ts',\n    member: "Log.'odd'",\n`;
  const there = `    name: 'a bug',\n    file: 'src/log.ts',\n    member: 'twice',\n`;
  assert.equal(rewritten(text, old, { ...old, member: 'twice' }), there);
  assert.equal(rewritten(there, old, old), undefined);
});
