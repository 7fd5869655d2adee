// Records read back, for the plain codec: which bytes are a valid record, and what its row says.

import * as L from '../../assembly/layout.ts';
import { crc32c } from './crc32c.ts';
import { isWhole } from './plain-placed.ts';

const align8 = (bytes: number): number => Math.ceil(bytes / 8) * 8;
const u64 = (number: number): bigint => BigInt(Math.trunc(number));

export class PlainScanner {
  readonly #memory: Uint8Array;
  readonly #view: DataView;
  readonly #rowsView: DataView;
  readonly #result: Uint32Array;
  /** Of the log that is read. */
  key = 0;

  constructor(memory: Uint8Array, rows: Uint32Array, result: Uint32Array) {
    this.#memory = memory;
    this.#view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
    this.#rowsView = new DataView(rows.buffer);
    this.#result = result;
  }

  scan(place: number, bytes: number, position: number): number {
    let offset = 0;
    let rows = 0;
    let status = L.SCAN_END;
    while (offset < bytes) {
      const checked = this.#check(place + offset, bytes - offset, u64(position) + BigInt(offset));
      status = checked.status;
      if (status === L.SCAN_MORE) this.#result[L.RESULT_LENGTH] = checked.whole;
      if (status !== L.SCAN_END) break;
      if (rows === L.ROWS_MAX) {
        status = L.SCAN_ROWS;
        break;
      }
      this.noteRow(rows++, place + offset, offset);
      offset += checked.whole;
    }
    this.#result[L.RESULT_CONSUMED] = offset;
    this.#result[L.RESULT_ROWS] = rows;
    return status;
  }

  // SCAN_END: a valid record of `whole` bytes; SCAN_MORE: one that needs `whole` bytes.
  #check(at: number, left: number, position: bigint): { status: number; whole: number } {
    if (left < L.RECORD_HEADER_BYTES) return { status: L.SCAN_MORE, whole: L.RECORD_HEADER_BYTES };
    if (!this.#headerHolds(at, position)) return { status: L.SCAN_BAD, whole: 0 };
    const type = this.#view.getUint8(at + L.RECORD_TYPE_AT);
    if (type < 1 || type > L.RECORD_TYPE_MAX) return { status: L.SCAN_UNKNOWN, whole: 0 };
    const bodyBytes = this.#view.getUint32(at + L.RECORD_BODY_BYTES_AT, true);
    if (bodyBytes >= 2 ** 31) return { status: L.SCAN_BAD, whole: 0 };
    const whole = L.RECORD_HEADER_BYTES + align8(bodyBytes);
    if (whole > left) return { status: L.SCAN_MORE, whole };
    const bodyCrc = this.#view.getUint32(at + L.RECORD_BODY_CRC_AT, true);
    const holds =
      crc32c(this.#bytes(at + L.RECORD_HEADER_BYTES, bodyBytes)) === bodyCrc &&
      (type < L.RECORD_PLACED || isWhole(this.#view, at, bodyBytes));
    return { status: holds ? L.SCAN_END : L.SCAN_BAD, whole };
  }

  #headerHolds(at: number, position: bigint): boolean {
    const view = this.#view;
    return (
      view.getBigUint64(at + L.RECORD_POSITION_AT, true) === position &&
      view.getUint32(at + L.RECORD_CRC_AT, true) === this.headerCrc(at)
    );
  }

  seek(place: number, bytes: number, position: number): number {
    for (let offset = 0; offset + L.RECORD_HEADER_BYTES <= bytes; offset += L.RECORD_ALIGN) {
      if (!this.#headerHolds(place + offset, u64(position) + BigInt(offset))) continue;
      this.noteRow(0, place + offset, offset);
      return offset;
    }
    return bytes;
  }

  /** Copies the header of the record at `at` into a row, field by field. */
  noteRow(row: number, at: number, offset: number): void {
    const view = this.#view;
    const to = row * L.ROW_BYTES;
    this.setRow(row, L.ROW_TYPE_AT, view.getUint8(at + L.RECORD_TYPE_AT));
    this.setRow(row, L.ROW_FLAGS_AT, view.getUint8(at + L.RECORD_FLAGS_AT));
    if (view.getUint8(at + L.RECORD_TYPE_AT) === L.RECORD_PLACED) {
      this.#rowsView.setUint8(to + L.ROW_KIND_AT, view.getUint8(at + L.RECORD_KIND_AT));
      this.#rowsView.setUint8(to + L.ROW_FORM_AT, view.getUint8(at + L.RECORD_FORM_AT));
    }
    this.setRow(row, L.ROW_OFFSET_AT, offset);
    this.setRow(row, L.ROW_BODY_BYTES_AT, view.getUint32(at + L.RECORD_BODY_BYTES_AT, true));
    const bucket = view.getBigUint64(at + L.RECORD_BUCKET_AT, true);
    const sequence = view.getBigUint64(at + L.RECORD_SEQUENCE_AT, true);
    this.#rowsView.setBigUint64(to + L.ROW_BUCKET_AT, bucket, true);
    this.#rowsView.setBigUint64(to + L.ROW_SEQUENCE_AT, sequence, true);
    this.setRow(row, L.ROW_COUNT_AT, view.getUint32(at + L.RECORD_COUNT_AT, true));
    this.setRow(row, L.ROW_EPOCH_AT, view.getUint32(at + L.RECORD_EPOCH_AT, true));
    this.setRow(row, L.ROW_BACK_AT, view.getUint32(at + L.RECORD_BACK_AT, true));
    this.setRow(row, L.ROW_ATTEMPTS_AT, view.getUint32(at + L.RECORD_ATTEMPTS_AT, true));
  }

  /** Sets the word of a field of a row. */
  setRow(row: number, field: number, value: number): void {
    this.#rowsView.setUint32(row * L.ROW_BYTES + field, value, true);
  }

  /** CRC of the header of the record at `at`, as its log mixes it. */
  headerCrc(at: number): number {
    const behind = L.RECORD_CRC_AT + 4;
    return (crc32c(this.#bytes(at + behind, L.RECORD_HEADER_BYTES - behind)) ^ this.key) >>> 0;
  }

  #bytes(at: number, bytes: number): Uint8Array {
    return this.#memory.subarray(at, at + bytes);
  }
}
