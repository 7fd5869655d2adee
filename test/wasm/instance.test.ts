// What the rest relies on about the module: no imports, fixed memory, its exports, its ABI, and
// that it traps where an invariant is broken.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import {
  ABI_VERSION,
  COLD_AT,
  COLD_BYTES,
  INBOX_AT,
  INBOX_BYTES,
  MARK_BYTES,
  MARKS_MAX,
  MEMORY_BYTES,
  MEMORY_PAGES,
  RESULT_BYTES,
  RING_AT,
  RING_BYTES,
  ROW_BYTES,
  ROWS_MAX,
} from '../../assembly/layout.ts';
import { BugError } from '../../src/core/assert.ts';
import { Engine } from '../../src/wasm/engine.ts';
import { instantiateModule } from '../../src/wasm/instance.ts';
import { DEBUG_MODULE, RELEASE_MODULE } from '../support/twins.ts';

const MEMORY_SECTION = 5;

/** Reads an unsigned LEB128 number; returns it and where the next byte stands. */
function leb(bytes: Uint8Array, at: number): [number, number] {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++]!;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [value, at];
  }
}

/** Initial and maximum pages of the only memory of a module. */
function memoryLimits(bytes: Uint8Array): { initial: number; maximum: number | undefined } {
  let at = 8;
  while (at < bytes.length) {
    const id = bytes[at]!;
    const [size, body] = leb(bytes, at + 1);
    if (id !== MEMORY_SECTION) {
      at = body + size;
      continue;
    }
    const [count, flagsAt] = leb(bytes, body);
    assert.equal(count, 1);
    const [initial, maximumAt] = leb(bytes, flagsAt + 1);
    if ((bytes[flagsAt]! & 1) === 0) return { initial, maximum: undefined };
    return { initial, maximum: leb(bytes, maximumAt)[0] };
  }
  throw new Error('the module declares no memory');
}

for (const [name, url] of [
  ['release', RELEASE_MODULE],
  ['debug', DEBUG_MODULE],
] as const) {
  describe(name, () => {
    const bytes = readFileSync(url);

    test('imports nothing', () => {
      assert.deepEqual(WebAssembly.Module.imports(new WebAssembly.Module(bytes)), []);
    });

    test('its memory is as large as it will ever be', () => {
      assert.deepEqual(memoryLimits(bytes), { initial: MEMORY_PAGES, maximum: MEMORY_PAGES });
      const { memory } = instantiateModule(url);
      assert.equal(memory.buffer.byteLength, MEMORY_BYTES);
      const { grow } = memory as unknown as { grow: (pages: number) => number };
      assert.throws(() => grow.call(memory, 1), RangeError);
    });

    test('exports what the engine calls, what must stay out of its loops, and nothing else', () => {
      const exported = WebAssembly.Module.exports(new WebAssembly.Module(bytes));
      const names = exported.map((e) => e.name).sort();
      assert.deepEqual(names, [
        'closeFrame',
        'crc32c',
        'deliver',
        'getSequence',
        'getWriteAt',
        'identify',
        'init',
        'intake',
        'intakePlaced',
        'locate',
        'measureRun',
        'memory',
        'openBatch',
        'openSegment',
        'packControl',
        'packMarks',
        'place',
        'ruleOf',
        'scan',
        'seek',
        'setKey',
        'setLimit',
        'setSecret',
        'setSequence',
        'skim',
      ]);
    });

    test('says its ABI version', () => {
      assert.equal(instantiateModule(url).init(), ABI_VERSION);
    });

    test('traps on a broken invariant, and only that call', () => {
      const module = instantiateModule(url);
      const unreachable = (error: unknown) => {
        assert.ok(error instanceof WebAssembly.RuntimeError);
        assert.match(error.message, /unreachable/);
        return true;
      };
      assert.throws(() => module.openSegment(0, 0, RING_BYTES + 8, 1), unreachable);
      assert.throws(() => module.openSegment(0, 12, 4096, 1), unreachable);
      assert.throws(() => module.setLimit(1), unreachable);
      assert.throws(() => module.packControl(4, 0, 0, 0, 0), unreachable, 'no room at all');
      assert.throws(() => module.packMarks(2, MARKS_MAX + 1, 0, 0, 0, 0), unreachable);
      assert.throws(() => module.deliver(COLD_AT, 3, 0, 1, 8, 4, 1000), unreachable);
      assert.throws(() => module.locate(COLD_AT, 3, 0), unreachable);
      module.openSegment(0, 0, RING_BYTES, 1);
      module.packControl(4, 0, 0, 0, 0);
      assert.equal(module.getWriteAt(), 56);
    });
  });
}

test('another module is refused', (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'thrustmq-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const url = pathToFileURL(path.join(folder, 'other.wasm'));
  writeFileSync(url, Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 3, 1, 0, 1));
  assert.throws(() => instantiateModule(url));
  // (import "env" "f" (func)), as asc emits for `abort`
  const imports = [1, 4, 1, 0x60, 0, 0, 2, 9, 1, 3, 0x65, 0x6e, 0x76, 1, 0x66, 0, 0];
  writeFileSync(url, Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...imports));
  assert.throws(() => instantiateModule(url), BugError);
});

test('the areas of the engine are views of the module, where the layout says', () => {
  const module = instantiateModule();
  const engine = new Engine(module);
  const all = new Uint8Array(module.memory.buffer);
  assert.equal(engine.inbox.byteOffset, INBOX_AT);
  assert.equal(engine.inbox.length, INBOX_BYTES);
  assert.equal(engine.coldBytes, COLD_BYTES);
  assert.equal(engine.memory.byteOffset + engine.coldBytes, RING_AT);
  assert.equal(engine.memory.length, COLD_BYTES + RING_BYTES);
  assert.equal(engine.marks.byteLength, MARKS_MAX * MARK_BYTES);
  assert.equal(engine.rows.length * 4, ROWS_MAX * ROW_BYTES);
  assert.equal(engine.result.length * 4, RESULT_BYTES);
  engine.memory[5] = 42;
  assert.equal(all[COLD_AT + 5], 42);
});
