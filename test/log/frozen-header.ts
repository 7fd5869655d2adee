// How release 0.1 reads the header of a segment, word for word, and what it says: whatever is
// written today must still be refused by it before it changes anything. Never changed.

import { crc32c } from '../../src/codec/crc32c.ts';

/** What release 0.1 answers to the first bytes of a segment; undefined: it takes it for its own. */
export function refusalOf01(bytes: Uint8Array, name: string): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (
    bytes.length < 64 ||
    view.getUint32(0, true) !== 0x75726854 ||
    view.getUint32(4, true) !== 0x514d7473
  )
    return `${name} does not begin like a segment of a ThrustMQ log`;
  const version = view.getUint32(8, true);
  const holds = view.getUint32(60, true) === crc32c(bytes.subarray(0, 60));
  const compacted = version === 2;
  if (version !== 1 && !compacted && (holds || version < 256))
    return `${name} has format version ${version}; this program reads versions 1 and 2. Nothing was changed. Use the release that wrote it`;
  if (!holds) return `the header of ${name} does not match its checksum`;
  return undefined;
}
