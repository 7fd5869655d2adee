// Loads the module and proves what the rest relies on: no imports, fixed memory, the right ABI.

import { readFileSync } from 'node:fs';
import { instantiateSync } from '@assemblyscript/loader';
import { ABI_VERSION, MEMORY_BYTES } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';

/** The exports of assembly/index.ts; addresses and sizes are unsigned 32-bit. */
export interface Module {
  readonly memory: WebAssembly.Memory;
  init(): number;
  crc32c(at: number, bytes: number): number;
  intake(
    at: number,
    end: number,
    left: number,
    wire: number,
    messageMax: number,
    admitted: boolean,
  ): number;
  intakePlaced(at: number, end: number, most: number, wire: number): number;
  setSecret(low: number, high: number): void;
  identify(at: number, end: number, wire: number): void;
  skim(at: number, end: number, left: number, wire: number, messageMax: number): number;
  deliver(
    bodyAt: number,
    bodyBytes: number,
    first: number,
    count: number,
    wire: number,
    outAt: number,
    bytesMax: number,
  ): number;
  closeFrame(count: number): void;
  locate(bodyAt: number, bodyBytes: number, index: number): number;
  setKey(key: number): void;
  openSegment(base: number, offset: number, bytes: number, epoch: number): void;
  openBatch(proof: boolean): void;
  setLimit(offset: number): void;
  setSequence(sequence: number): void;
  getWriteAt(): number;
  getSequence(): number;
  packMarks(
    type: number,
    count: number,
    time: number,
    low: number,
    high: number,
    attempts: number,
  ): void;
  place(
    bodyAt: number,
    bodyBytes: number,
    first: number,
    count: number,
    bucketLow: number,
    bucketHigh: number,
    kind: number,
    form: number,
    attempts: number,
  ): number;
  packControl(type: number, flags: number, sequence: number, time: number, count: number): void;
  scan(at: number, bytes: number, position: number): number;
  seek(at: number, bytes: number, position: number): number;
}

const RELEASE = new URL('../../thrustmq.wasm', import.meta.url);

// Whoever needs a second instance later gets the same program, also if it was built anew since.
let release: WebAssembly.Module | undefined;

/** Instantiates the module at `url`, by default the release build beside the compiled sources. */
export function instantiateModule(url: URL = RELEASE): Module {
  const module = (url === RELEASE && release) || new WebAssembly.Module(readFileSync(url));
  if (url === RELEASE) release = module;
  assert(WebAssembly.Module.imports(module).length === 0, 'the WebAssembly module has imports');
  const { exports } = instantiateSync(module, {});
  const instance = exports as unknown as Module;
  assert(
    instance.memory.buffer.byteLength === MEMORY_BYTES,
    'the module has the wrong memory size',
  );
  assert(instance.init() === ABI_VERSION, 'the module is of another build: build again');
  return instance;
}
