// Bodies of the records from placed on, for the plain codec: where their messages are, and whether
// a body is what its header says.

import * as L from '../../assembly/layout.ts';
import * as P from '../../assembly/layout-placed.ts';

const TIME_END = 2n ** 48n;
const SEQUENCE_END = 2n ** 53n;

// Of the types whose marks are not as long as MARK_BYTES.
const MARK_BYTES_OF: Record<number, number> = {
  [L.RECORD_DEFERRED]: P.DEFERRAL_BYTES,
  [L.RECORD_PRODUCERS]: P.PRODUCER_BYTES,
  [L.RECORD_IDS]: P.ID_BYTES,
};

/** Size of a mark in a record of that type. */
export function markBytesOf(type: number): number {
  return MARK_BYTES_OF[type] ?? L.MARK_BYTES;
}

/** A message in a body: all of it, and what was published. */
export interface Stored {
  /** From its size on. */
  at: number;
  end: number;
  /** Where what was published begins. */
  bytesAt: number;
}

// A body at the beginning of memory has no header in front of it.
function isOfPlaced(view: DataView, at: number): boolean {
  return at >= 0 && view.getUint8(at + L.RECORD_TYPE_AT) === L.RECORD_PLACED;
}

/** What stands in front of the messages of the record whose header is at `at`. */
export function headBytesOf(view: DataView, at: number): number {
  return isOfPlaced(view, at) ? P.HEAD_BYTES : 0;
}

/** Whether its messages have fields. */
export function hasFields(view: DataView, at: number): boolean {
  return isOfPlaced(view, at) && (view.getUint8(at + L.RECORD_FORM_AT) & P.FORM_FIELDS) !== 0;
}

/** The message at `at`, or undefined if it does not end at or before `bodyEnd`. */
export function storedAt(
  view: DataView,
  at: number,
  bodyEnd: number,
  fields: boolean,
): Stored | undefined {
  const from = at + L.MESSAGE_SIZE_BYTES;
  if (from > bodyEnd) return undefined;
  const end = from + view.getUint32(at, true);
  if (end > bodyEnd) return undefined;
  if (!fields) return { at, end, bytesAt: from };
  const fieldsAt = from + P.FIELDS_SIZE_BYTES;
  if (fieldsAt > end) return undefined;
  const bytesAt = fieldsAt + view.getUint16(from, true);
  return bytesAt > end ? undefined : { at, end, bytesAt };
}

/** Whether the body of the record of a type from placed on, at `at`, is what its header says. */
export function isWhole(view: DataView, at: number, bodyBytes: number): boolean {
  const type = view.getUint8(at + L.RECORD_TYPE_AT);
  const kind = view.getUint8(at + L.RECORD_KIND_AT);
  const form = view.getUint8(at + L.RECORD_FORM_AT);
  const count = view.getUint32(at + L.RECORD_COUNT_AT, true);
  const body = at + L.RECORD_HEADER_BYTES;
  if (count === 0) return false;
  if (type === L.RECORD_PLACED)
    return kind <= P.KIND_MAX && form <= P.FORM_MAX && isPlaced(view, at, bodyBytes);
  if (kind !== 0 || form !== 0) return false;
  const all = (each: number, holds: (at: number) => boolean) => {
    if (bodyBytes !== count * each) return false;
    for (let i = 0; i < count; i++) if (!holds(body + i * each)) return false;
    return true;
  };
  switch (type) {
    case L.RECORD_DEFERRED:
      return all(P.DEFERRAL_BYTES, (mark) => isDeferral(view, mark));
    case L.RECORD_PRODUCERS:
      return all(P.PRODUCER_BYTES, (mark) => isTime(view, mark + P.PRODUCER_TIME_AT));
    default:
      return isTime(view, at + L.RECORD_SEQUENCE_AT) && all(P.ID_BYTES, () => true);
  }
}

function isTime(view: DataView, at: number): boolean {
  return view.getBigUint64(at, true) < TIME_END;
}

function isSequence(view: DataView, at: number): boolean {
  return view.getBigUint64(at, true) < SEQUENCE_END;
}

function zeros(view: DataView, at: number, bytes: number): boolean {
  for (let i = 0; i < bytes; i++) if (view.getUint8(at + i) !== 0) return false;
  return true;
}

function isDeferral(view: DataView, at: number): boolean {
  return (
    isSequence(view, at + P.DEFERRAL_SEQUENCE_AT) &&
    view.getUint32(at + P.DEFERRAL_COUNT_AT, true) > 0 &&
    isTime(view, at + P.DEFERRAL_DUE_AT) &&
    view.getUint8(at + P.DEFERRAL_KIND_AT) <= P.KIND_MAX &&
    view.getUint8(at + P.DEFERRAL_LEVEL_AT) <= P.LEVEL_MAX &&
    view.getUint8(at + P.DEFERRAL_CAUSE_AT) <= P.CAUSE_MAX &&
    zeros(view, at + P.DEFERRAL_ZERO_AT, P.DEFERRAL_BYTES - P.DEFERRAL_ZERO_AT)
  );
}

function isPlaced(view: DataView, at: number, bodyBytes: number): boolean {
  const head = at + L.RECORD_HEADER_BYTES;
  if (bodyBytes < P.HEAD_BYTES) return false;
  const times = [P.HEAD_DUE_AT, P.HEAD_EXPIRES_AT, P.HEAD_PUBLISHED_AT, P.HEAD_MOVED_AT];
  if (!times.every((field) => isTime(view, head + field))) return false;
  if (!isSequence(view, head + P.HEAD_FROM_AT)) return false;
  if (view.getUint8(head + P.HEAD_REASON_AT) > P.REASON_MAX) return false;
  if (view.getUint8(head + P.HEAD_FROM_KIND_AT) > P.KIND_MAX) return false;
  if (view.getUint8(head + P.HEAD_LEVEL_AT) > P.LEVEL_MAX) return false;
  if (!zeros(view, head + P.HEAD_ZERO_AT, P.HEAD_BYTES - P.HEAD_ZERO_AT)) return false;
  const count = view.getUint32(at + L.RECORD_COUNT_AT, true);
  if ((view.getUint8(at + L.RECORD_FORM_AT) & P.FORM_SETTLES) !== 0) {
    const from = view.getBigUint64(head + P.HEAD_FROM_AT, true);
    const own = view.getBigUint64(at + L.RECORD_SEQUENCE_AT, true);
    if (from === 0n || from + BigInt(count) > own) return false;
  }
  return holdsMessages(view, at, bodyBytes, count);
}

function holdsMessages(view: DataView, at: number, bodyBytes: number, count: number): boolean {
  const bodyEnd = at + L.RECORD_HEADER_BYTES + bodyBytes;
  const fields = hasFields(view, at);
  let cursor = at + L.RECORD_HEADER_BYTES + P.HEAD_BYTES;
  for (let i = 0; i < count; i++) {
    const stored = storedAt(view, cursor, bodyEnd, fields);
    if (stored === undefined) return false;
    const { bytesAt, end } = stored;
    const before = L.MESSAGE_SIZE_BYTES + P.FIELDS_SIZE_BYTES;
    if (fields && bytesAt - cursor - before > P.FIELDS_BYTES_MAX) return false;
    cursor = end;
  }
  return cursor === bodyEnd;
}
