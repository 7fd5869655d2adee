// What the documents name is there: files, links, headings, decisions by number, test files and npm
// scripts. So a file that moves takes its mentions along.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const DECISIONS = 'docs/decisions.md';

// CHANGELOG.md is left out: it tells of files as they were.
const DOCUMENTS = [
  'CONTRIBUTING.md',
  'README.md',
  'SECURITY.md',
  'test/README.md',
  'bench/README.md',
]
  .concat(markdownIn('docs'), markdownIn('src'))
  .sort();

function markdownIn(folder: string): string[] {
  return fs
    .readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}/${name}`);
}

function textOf(name: string): string {
  return fs.readFileSync(path.join(ROOT, name), 'utf8');
}

/** Each match of `pattern` in each document, as `where` and its first group. */
function* named(pattern: RegExp): Generator<[where: string, what: string, document: string]> {
  for (const document of DOCUMENTS)
    for (const [i, line] of textOf(document).split('\n').entries())
      for (const match of line.matchAll(pattern))
        yield [`${document}:${i + 1}`, match[1]!, document];
}

/** Whether a file or folder is there; a name may leave out what every such file ends with. */
function isThere(name: string): boolean {
  const endings = ['', '.ts', '.test.ts'];
  return endings.some((ending) => fs.existsSync(path.join(ROOT, name + ending)));
}

// As GitHub makes it of a heading.
function anchorOf(heading: string): string {
  const plain = heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '');
  return plain.trim().replaceAll(' ', '-');
}

function anchorsIn(name: string): string[] {
  return [...textOf(name).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading!));
}

function none(findings: string[], least: number, looked: number): void {
  assert.deepEqual(findings, [], `\n${findings.join('\n')}`);
  assert.ok(looked >= least, `only ${looked} were found to look at`);
}

test('files that are named exist, those of the build by their source', () => {
  const findings: string[] = [];
  let looked = 0;
  const place =
    /(?<![\w./-])((?:build\/)?(?:src|test|bench|assembly|clients|docs|ops)\/[\w./-]*\w)/g;
  for (const [where, what] of named(place)) {
    if (/\/vN$/.test(what)) continue; // of some version
    looked++;
    const source = what.replace(/^build\/(.*)\.js$/, '$1.ts').replace(/^build\//, '');
    if (!isThere(source)) findings.push(`${where} names ${what}, which is not there`);
  }
  none(findings, 100, looked);
});

test('links lead to files, and to headings in them', () => {
  const findings: string[] = [];
  let looked = 0;
  for (const [where, link, document] of named(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(link)) continue;
    looked++;
    const [file, anchor] = link.split('#');
    const target = file === '' ? document : path.join(path.dirname(document), file!);
    if (!fs.existsSync(path.join(ROOT, target))) findings.push(`${where} links ${link}: no file`);
    else if (anchor !== undefined && !anchorsIn(target).includes(anchor))
      findings.push(`${where} links ${link}: no such heading`);
  }
  none(findings, 20, looked);
});

test('decisions are numbered without a gap, and those that are cited are there', () => {
  const numbers = [...textOf(DECISIONS).matchAll(/^### (\d+)\. \S/gm)].map(([, n]) => Number(n));
  assert.deepEqual(
    numbers,
    numbers.map((_, i) => i + 1),
  );
  const findings: string[] = [];
  let looked = 0;
  for (const [where, number] of named(/(?:\bdecision |\[(?=\d+\](?!\()))(\d+)/gi)) {
    looked++;
    if (!numbers.includes(Number(number))) findings.push(`${where} cites decision ${number}`);
  }
  none(findings, 10, looked);
});

test('test files and npm scripts that are to be run exist', () => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
  const tests = fs
    .readdirSync(path.join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => `test/${name}`);
  const findings: string[] = [];
  let looked = 0;
  for (const [where, command] of named(/\bnpm (test -- [\w/ -]+|run \w+)/g)) {
    looked++;
    const [verb, ...names] = command.replace('-- ', '').split(' ');
    if (verb === 'run' && scripts[names[0]!] === undefined)
      findings.push(`${where}: there is no npm script ${names[0]}`);
    if (verb !== 'test') continue;
    for (const name of names.filter((each) => each !== '' && each !== 'FILE'))
      if (!tests.some((file) => file.includes(name)))
        findings.push(`${where}: no test file has ${name} in its path`);
  }
  none(findings, 20, looked);
});
