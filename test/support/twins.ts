// The same calls on every implementation of the codec: the release module, the debug module
// and the plain twin. Whatever one of them says, all of them must say.

import assert from 'node:assert/strict';
import {
  INTAKE_LARGE,
  INTAKE_MORE,
  INTAKE_RULED,
  RESULT_BYTES_OUT,
  RESULT_CONSUMED,
  RESULT_LENGTH,
  RESULT_MESSAGES,
  RESULT_PAYLOAD,
  RESULT_ROWS,
  RESULT_RULE,
  RESULT_RUN_PAYLOAD,
  SCAN_MORE,
} from '../../assembly/layout.ts';
import { PlainCodec } from '../../src/codec/plain.ts';
import type { Codec } from '../../src/core/ports/codec.ts';
import { ROW_WORDS } from '../../src/core/records/rows.ts';
import { Engine } from '../../src/wasm/engine.ts';
import { instantiateModule } from '../../src/wasm/instance.ts';

export const RELEASE_MODULE = new URL('../../thrustmq.wasm', import.meta.url);
export const DEBUG_MODULE = new URL('../../thrustmq.debug.wasm', import.meta.url);
const MIB = 1024 * 1024;

/** A plain codec of a few MiB, for messages of up to a few hundred KiB. */
export function smallPlainCodec(coldBytes = 2 * MIB): PlainCodec {
  return new PlainCodec({
    inboxBytes: 2 * MIB,
    outboxBytes: 2 * MIB,
    coldBytes,
    ringBytes: 2 * MIB,
  });
}

/** Everything an `intake` or `skim` says, and with `intake` what it wrote. */
export interface Taken {
  status: number;
  consumed: number;
  messages: number;
  payload: number;
  /** Only with the statuses that have one. */
  length: number | undefined;
  /** Rule, halves of the bucket, messages and payload of the run, where one stopped it. */
  run: number[] | undefined;
  rows: number[];
  writeAt: number;
  sequence: number;
}

export function takenFrom(codec: Codec, status: number): Taken {
  const { result, rows } = codec;
  const long = status === INTAKE_MORE || status === INTAKE_LARGE;
  return {
    status,
    consumed: result[RESULT_CONSUMED]!,
    messages: result[RESULT_MESSAGES]!,
    payload: result[RESULT_PAYLOAD]!,
    length: long ? result[RESULT_LENGTH]! : undefined,
    run:
      status === INTAKE_RULED
        ? [...result.subarray(RESULT_RULE, RESULT_RUN_PAYLOAD + 1)]
        : undefined,
    rows: [...rows.subarray(0, result[RESULT_ROWS]! * ROW_WORDS)],
    writeAt: codec.writeAt(),
    sequence: codec.sequence(),
  };
}

/** Everything a `scan` says. */
export interface Scanned {
  status: number;
  consumed: number;
  length: number | undefined;
  rows: number[];
}

export function scanOf(codec: Codec, place: number, bytes: number, position: number): Scanned {
  const status = codec.scan(place, bytes, position);
  const { result, rows } = codec;
  return {
    status,
    consumed: result[RESULT_CONSUMED]!,
    length: status === SCAN_MORE ? result[RESULT_LENGTH]! : undefined,
    rows: [...rows.subarray(0, result[RESULT_ROWS]! * ROW_WORDS)],
  };
}

/** Everything a `deliver` says, and the frame that it leaves behind. */
export function deliveryOf(
  codec: Codec,
  body: number,
  bodyBytes: number,
  first: number,
  count: number,
  wire: number,
  outAt: number,
  outMax: number,
): { packed: number; bytesOut: number; payload: number; frame: Uint8Array } {
  const packed = codec.deliver(body, bodyBytes, first, count, wire, outAt, outMax);
  assert.equal(codec.result[RESULT_MESSAGES], packed);
  const bytesOut = codec.result[RESULT_BYTES_OUT]!;
  const payload = codec.result[RESULT_PAYLOAD]!;
  return { packed, bytesOut, payload, frame: codec.takeFrame(packed, bytesOut) };
}

/** A copy of `bytes` bytes of the ring from `offset` on. */
export function ring(codec: Codec, offset: number, bytes: number): Uint8Array {
  const at = codec.coldBytes + offset;
  return codec.memory.slice(at, at + bytes);
}

/** The first `bytes` bytes of the ring as they are until the next call. */
export function ringView(codec: Codec, bytes: number): Uint8Array {
  return codec.memory.subarray(codec.coldBytes, codec.coldBytes + bytes);
}

// Most answers are the same, and saying so is then much quicker than a deep comparison. What this
// does not know counts as different, and is compared again.
function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((each, i) => Object.is(each, b[i]));
  if (!isPlain(a) || !isPlain(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && isSame(a[name], b[name]))
  );
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  );
}

const TRAPPED = 'stopped on a broken invariant';

export class Twins {
  readonly codecs: ReadonlyMap<string, Codec>;

  constructor(plain: Codec = smallPlainCodec()) {
    this.codecs = new Map<string, Codec>([
      ['plain', plain],
      ['release', new Engine(instantiateModule(RELEASE_MODULE))],
      ['debug', new Engine(instantiateModule(DEBUG_MODULE))],
    ]);
  }

  /** Makes the call on each codec, asserts that all give the same, and returns that. */
  same<T>(call: (codec: Codec) => T): T {
    const answers = [...this.codecs].map(([name, codec]) => ({ name, answer: call(codec) }));
    const [first, ...others] = answers;
    for (const { name, answer } of others)
      if (!isSame(answer, first!.answer))
        assert.deepEqual(answer, first!.answer, `${name} and ${first!.name} differ`);
    return first!.answer;
  }

  /** Asserts that the call stops on a broken invariant on each codec. */
  trap(call: (codec: Codec) => unknown): void {
    const answer = this.same((codec) => {
      try {
        return { returned: call(codec) };
      } catch (error) {
        assert.ok(error instanceof Error);
        assert.match(error.message, /^bug: |unreachable/);
        return TRAPPED;
      }
    });
    assert.equal(answer, TRAPPED);
  }
}
