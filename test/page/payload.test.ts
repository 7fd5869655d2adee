// The bytes of a message in the three forms, whatever they are.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, formFor, hex, indented, shown } from '../../src/page/payload.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);

test('the form that suits', () => {
  assert.equal(formFor(utf8('plain'), false), 'text');
  assert.equal(formFor(utf8('{"a":1}'), false), 'json');
  assert.equal(formFor(utf8('{"a":'), false), 'text');
  assert.equal(formFor(utf8('12'), false), 'text');
  assert.equal(formFor(Uint8Array.of(0, 1, 2), false), 'hex');
  assert.equal(formFor(Uint8Array.of(0xff, 0xfe), false), 'hex');
  assert.equal(formFor(utf8('schön').subarray(0, 4), true), 'text', 'cut within a character');
});

test('text says when it is not UTF-8', () => {
  const { text, note } = shown(Uint8Array.of(0x61, 0xff, 0x62), 'text', false);
  assert.equal(text, 'a\ufffdb');
  assert.match(note!, /not valid UTF-8/);
  assert.equal(shown(utf8('a\u0000<b>'), 'text', false).text, 'a␀<b>');
});

test('JSON is moved, never written anew', () => {
  assert.equal(
    indented('{"a":12345678901234567890,"b":[]}'),
    ['{', '  "a": 12345678901234567890,', '  "b": []', '}'].join('\n'),
  );
  assert.equal(
    indented('[1,{"x":"a,b:{}[]\\"","y":{}}]'),
    ['[', '  1,', '  {', '    "x": "a,b:{}[]\\"",', '    "y": {}', '  }', ']'].join('\n'),
  );
  assert.equal(indented('1.0e5'), '1.0e5');
  assert.equal(indented('{'), undefined);
  assert.match(shown(utf8('{"a":1'), 'json', true).note!, /only its beginning/);
  assert.match(shown(utf8('no'), 'json', false).note!, /not JSON/);
});

test('deep nesting does not outgrow the message', () => {
  const deep = '['.repeat(2000) + ']'.repeat(2000);
  const text = indented(deep);
  assert.ok(text === undefined || text.length < 4000 * 100);
});

test('hex has offset, bytes and ASCII', () => {
  const lines = hex(utf8('0123456789abcdef\n<')).split('\n');
  assert.equal(
    lines[0],
    '00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef',
  );
  assert.match(lines[1]!, /^00000010 {2}0a 3c {42,}\.<$/);
  assert.equal(hex(new Uint8Array()), '');
  assert.deepEqual(bytesOf('AP+A'), Uint8Array.of(0, 255, 128));
});
