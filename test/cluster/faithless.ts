// What old servers of NATS do to a stream, seen on their copies of it: a leader that is stopped
// and wakes keeps messages that no other server ever had, and says that it is up to date; one that
// starts again purges what it was not asked to. Nodes are to refuse then, with 74.

import { SEGMENT_DATA_AT } from '../../assembly/layout.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import { readEnvelope } from '../../src/core/cluster/envelope.ts';
import { connectStream, type JetStreamLink } from '../../src/io/cluster/jetstream.ts';
import { messageIn, stateOf } from '../../src/log/base/finding.ts';
import type { NatsCluster } from './nats.ts';
import { CLUSTER, SEGMENT_BYTES, STREAM_BYTES } from './nodes.ts';
import { optionsFor } from './stream-options.ts';

/** What became of the stream by a fault of its servers, all of which are made to run; undefined:
 * nothing that is seen. */
export async function faultOf(nats: NatsCluster): Promise<string | undefined> {
  await nats.wake();
  const links = await Promise.all(nats.urls.map((url) => linkTo(nats, url)));
  try {
    const { first, last } = await answered(() => stateOf(links[0]!));
    return (await torn(links[0]!, first)) ?? (await differing(links, first, last));
  } finally {
    await Promise.all(links.map((link) => link.close()));
  }
}

// Of those who hold a copy, the one that a connection goes to answers who asks for a message.
const linkTo = (nats: NatsCluster, url: string): Promise<JetStreamLink> =>
  connectStream(optionsFor(nats, { servers: [url], cluster: CLUSTER, maxBytes: STREAM_BYTES }));

/** They may be about to begin, or to elect. */
async function answered<T>(ask: () => Promise<T>): Promise<T> {
  for (;;)
    try {
      return await ask();
    } catch {}
}

// Owners purge it where a segment of the log begins.
async function torn(link: JetStreamLink, first: number): Promise<string | undefined> {
  if (first === 1) return undefined;
  const found = await answered(() => messageIn(link, first));
  const envelope = found && readEnvelope(found.bytes, link.logId, crc32c);
  const position = typeof envelope === 'object' ? envelope.position : 0;
  if (position % SEGMENT_BYTES === SEGMENT_DATA_AT) return undefined;
  return `it begins with message ${first}, up to which nobody has purged it`;
}

async function differing(
  links: JetStreamLink[],
  first: number,
  last: number,
): Promise<string | undefined> {
  for (let sequence = first; sequence <= last; sequence++) {
    const copies = await Promise.all(
      links.map((link) => answered(() => messageIn(link, sequence))),
    );
    const texts = copies.flatMap((copy) => (copy ? [Buffer.from(copy.bytes).toString('hex')] : []));
    if (new Set(texts).size > 1) return `copies of it differ at message ${sequence}`;
  }
  return undefined;
}
