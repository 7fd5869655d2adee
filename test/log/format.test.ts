// FORMAT.md says what assembly/layout.ts and layout-placed.ts say: its tables are parsed and
// compared, both ways.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import * as layout from '../../assembly/layout.ts';
import * as placed from '../../assembly/layout-placed.ts';

const text = fs.readFileSync(new URL('../../../src/log/FORMAT.md', import.meta.url), 'utf8');
const constants: Record<string, number> = { ...layout, ...placed };

function cells(line: string): string[] {
  const parts = line.slice(1, -1).split('|');
  return parts.map((cell) => cell.trim());
}

/** Tables by the cells of their head, each row a list of cells. */
function tables(head: string): string[][][] {
  const found: string[][][] = [];
  const lines = text.split('\n');
  for (const [at, line] of lines.entries()) {
    if (cells(line).join() !== cells(head).join()) continue;
    const rows: string[][] = [];
    for (let i = at + 2; lines[i]?.startsWith('|'); i++) rows.push(cells(lines[i]!));
    found.push(rows);
  }
  return found;
}

/** Constants named PREFIX…SUFFIX, without both. */
function named(prefix: string, suffix: string): [string, number][] {
  return Object.entries(constants)
    .filter(([name]) => name.startsWith(prefix) && name.endsWith(suffix))
    .map(([name, value]) => [name.slice(prefix.length, name.length - suffix.length), value]);
}

const LAYOUTS = [
  ['SEGMENT_', layout.SEGMENT_HEADER_BYTES, ['DATA']],
  ['RECORD_', layout.RECORD_HEADER_BYTES, []],
  ['MARK_', layout.MARK_BYTES, []],
  ['HEAD_', placed.HEAD_BYTES, []],
  ['DEFERRAL_', placed.DEFERRAL_BYTES, []],
  ['PRODUCER_', placed.PRODUCER_BYTES, []],
] as const;

test('segment header, record, marks and head: every field, at its offset, without holes', () => {
  const found = tables('| at | bytes | name | what |');
  assert.equal(found.length, LAYOUTS.length);
  for (const [i, [prefix, size, others]] of LAYOUTS.entries()) {
    let end = 0;
    const fields: [string, number][] = [];
    for (const [at, bytes, name] of found[i]!) {
      assert.equal(Number(at), end, `${prefix}${name}`);
      end += Number(bytes);
      if (name !== '') fields.push([name!, Number(at)]);
    }
    assert.equal(end, size, `${prefix} has another size`);
    const expected = named(prefix, '_AT').filter(([name]) => !others.includes(name as never));
    assert.deepEqual(fields.sort(), expected.sort());
  }
});

test('record types and flags', () => {
  const [types] = tables('| type | name | sequence | body |');
  assert.equal(types!.length, layout.RECORD_TYPE_MAX);
  for (const [type, name] of types!) assert.equal(constants[`RECORD_${name}`], Number(type), name);
  const [flags] = tables('| flag | name | what |');
  assert.deepEqual(
    flags!.map(([flag, name]) => [name, Number(flag)]).sort(),
    named('FLAG_', '').sort(),
  );
});

test('forms and reasons', () => {
  for (const [head, prefix] of [
    ['| form | name | what |', 'FORM_'],
    ['| reason | name | what |', 'REASON_'],
  ] as const) {
    const [rows] = tables(head);
    const told = rows!.map(([number, name]) => [name, Number(number)]);
    const known = named(prefix, '').filter(([name]) => name !== 'MAX' && !name.endsWith('_AT'));
    assert.deepEqual(told.sort(), known.sort());
  }
});

test('numbers in the prose', () => {
  assert.match(text, new RegExp(`format version ${layout.SEGMENT_VERSION}\\.`));
  assert.match(text, new RegExp(`Version ${layout.SEGMENT_VERSION_COMPACTED} adds\\ncompacted`));
  assert.match(text, new RegExp(`The first ${layout.SEGMENT_HEADER_BYTES} bytes of a segment`));
  assert.match(text, new RegExp(`the first record stands at byte ${layout.SEGMENT_DATA_AT}\\.`));
  assert.match(text, new RegExp(`A header of ${layout.RECORD_HEADER_BYTES} bytes`));
  assert.match(text, new RegExp(`a multiple of ${layout.RECORD_ALIGN}\\.`));
  const crcEnds = layout.SEGMENT_CRC_AT - 1;
  assert.match(text, new RegExp(`CRC of bytes 0 … ${crcEnds} `));
  assert.match(text, new RegExp(`CRC of bytes 4 … ${layout.RECORD_HEADER_BYTES - 1},`));
  const magic = Buffer.alloc(8);
  magic.writeUInt32LE(layout.SEGMENT_MAGIC_LOW);
  magic.writeUInt32LE(layout.SEGMENT_MAGIC_HIGH, 4);
  assert.ok(text.includes(`the text \`${magic}\``));
});
