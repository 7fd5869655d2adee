// Which log a cluster's stream holds: what its first messages say; of an empty stream what it was
// made for, so that all nodes that come to it begin the same log.

import { type Checksum, logIdOf } from '../core/cluster/envelope.ts';
import type { ReplicatedStream } from '../core/ports/stream.ts';
import { messageIn, stateOf } from '../log/base/finding.ts';

/** Messages that are looked at: strangers may have put some in front. */
const LOOKED_MAX = 100;

/** LOG_ID, unsigned; `madeFor`: of the stream. Rejects with what the stream says, or if nothing in it can be read yet. */
export async function logIdIn(
  stream: Pick<ReplicatedStream, 'state' | 'read'>,
  madeFor: bigint,
  crc32c: Checksum,
): Promise<bigint> {
  const { first, last } = await stateOf(stream);
  const end = Math.min(last + 1, first + LOOKED_MAX);
  for (let sequence = first; sequence < end; sequence++) {
    const message = await messageIn(stream, sequence);
    const id = message && logIdOf(message.bytes, crc32c);
    if (id !== undefined) return id;
  }
  // A server that is behind has none of them yet: another log must not be begun for that.
  if (last >= first) throw new Error(`messages ${first} to ${last} of the stream say no log yet`);
  return madeFor;
}
