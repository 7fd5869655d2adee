// A producer's messages as the plain twin sees them: one at a time, with every reason why there is
// none to take. Must not share code with assembly/ beyond layout.ts.

import * as L from '../../assembly/layout.ts';

/** The first bytes at a cursor: a whole message, or why there is none to take. */
export type Seen =
  | { bucket: bigint; bodyAt: number; length: number }
  | { status: number; taken: number; length: number | undefined };

/** A chunk of a producer's: bytes of `view` up to `end`; lengths up to `messageBytesMax` bytes. */
export interface Frame {
  view: DataView;
  end: number;
  /** Bytes of a Length. */
  wire: number;
  messageBytesMax: number;
}

/** What stands at `at`. */
export function look({ view, end, wire, messageBytesMax }: Frame, at: number): Seen {
  const headBytes = L.BUCKET_BYTES + wire;
  if (end - at < headBytes) return { status: L.INTAKE_MORE, taken: 0, length: headBytes };
  const bucket = view.getBigUint64(at, true);
  const announced =
    wire === L.WIRE_U64
      ? view.getBigUint64(at + L.BUCKET_BYTES, true)
      : BigInt(view.getUint32(at + L.BUCKET_BYTES, true));
  if (announced > BigInt(L.MESSAGE_BYTES_CEILING))
    return { status: L.INTAKE_FOREIGN, taken: 0, length: undefined };
  const length = Number(announced);
  if (length === 0) return { status: L.INTAKE_EMPTY, taken: headBytes, length: undefined };
  if (length > messageBytesMax) return { status: L.INTAKE_LARGE, taken: headBytes, length };
  const whole = headBytes + length;
  if (end - at < whole) return { status: L.INTAKE_MORE, taken: 0, length: whole };
  return { bucket, bodyAt: at + headBytes, length };
}

/** What an intake says of the run at `at`: halves of its bucket, messages that are there, payload. */
export function runAt(frame: Frame, at: number, left: number): number[] {
  const bucket = frame.view.getBigUint64(at, true);
  let messages = 0;
  let payload = 0;
  for (let cursor = at; messages < Math.min(left, L.RUN_MESSAGES_MAX); messages++) {
    const seen = look(frame, cursor);
    if ('status' in seen || seen.bucket !== bucket) break;
    cursor = seen.bodyAt + seen.length;
    payload += seen.length;
  }
  const low = Number(BigInt.asUintN(32, bucket));
  return [low, Number(bucket >> 32n), messages, payload];
}
