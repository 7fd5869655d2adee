// Deliberate faults in the byte work: assembly (plants.ts).

import { type Plant, plant } from '../plant.ts';

export const ASSEMBLY_PLANTS: readonly Plant[] = [
  ...plant('assembly/scan.ts', [
    [
      'length believed before its checksum',
      'if (!headerHolds(record, base + u64(offset))) {',
      'if (load<u64>(record + RECORD_POSITION_AT) != base + u64(offset)) {',
      'test/log/recovery/recovery.test.ts',
      'a tail torn at any byte, with garbage behind',
    ],
    [
      'body checksum ignored',
      'if (crc32c(record + RECORD_HEADER_BYTES, bodyBytes) != load<u32>(record + RECORD_BODY_CRC_AT)) {',
      'if (false) {',
      'test/log/recovery/recovery.test.ts',
      'a sector or page copied over another is damage or torn tail, never a new record',
    ],
    [
      'record believed at any position',
      'load<u64>(at + RECORD_POSITION_AT) == position &&',
      'position == position &&',
      'test/log/recovery/recovery.test.ts',
      'a used file holds nothing, whatever it held before',
    ],
    [
      'search for records ends one byte early',
      'offset + RECORD_HEADER_BYTES <= bytes',
      'offset + RECORD_HEADER_BYTES < bytes',
      'test/codec/plain.test.ts',
      'seek finds a header that ends with what is given, and none that is cut',
    ],
  ]),
  ...plant('assembly/crc32c.ts', [
    [
      'checksum begun with another value',
      'if (bytes < FOLD_MIN_BYTES) return ~slice(0xffffffff, at, bytes);',
      'if (bytes < FOLD_MIN_BYTES) return ~slice(0, at, bytes);',
      'test/assembly/crc32c.test.ts',
      'check values',
    ],
    [
      'last bytes left out of a long checksum',
      'at + blocks * 16, bytes % 16)',
      'at + blocks * 16, 0)',
      'test/assembly/crc32c.test.ts',
      'all lengths around those from which input is folded, at all alignments',
    ],
  ]),
  ...plant('assembly/intake.ts', [
    [
      'length of u32 read as u64',
      'const length64 =\n      wire == WIRE_U64 ?',
      'const length64 =\n      wire > 0 ?',
      'test/codec/plain.test.ts',
      'random messages, cuts, limits and counts',
    ],
    [
      'message limit off by one',
      'if (length > messageMax) {',
      'if (length >= messageMax) {',
      'test/codec/plain.test.ts',
      'random messages, cuts, limits and counts',
    ],
    [
      'largest length off by one',
      'if (length64 > MESSAGE_BYTES_CEILING) {',
      'if (length64 >= MESSAGE_BYTES_CEILING) {',
      'test/codec/plain.test.ts',
      'random messages, cuts, limits and counts',
    ],
  ]),
];
