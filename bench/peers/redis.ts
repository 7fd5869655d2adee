// Redis Streams as far as the load needs them: XADD, pipelined; XREADGROUP, XACK, and XTRIM of
// what was acked, which is what gives memory back. RESP, version 2.

import {
  bodyOf,
  cutter,
  decimal,
  Link,
  lineEnd,
  type Publisher,
  repeated,
  type Side,
  type Speaker,
  type Subscriber,
} from './protocol.ts';

const STREAM = 'bench';
const GROUP = 'g';
const READ_MESSAGES = 1000;
/** Reads that are asked for before the one before is answered. */
const READS_AHEAD = 2;

/** A command as an array of bulk strings. */
export function command(...parts: (string | Uint8Array)[]): Buffer {
  const out: Uint8Array[] = [Buffer.from(`*${parts.length}\r\n`)];
  for (const part of parts) {
    const bytes = typeof part === 'string' ? Buffer.from(part) : part;
    out.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat(out);
}

export interface ReplyHandler {
  /** The bulk strings of the current reply, in their order; valid during the call. */
  onBulk?: (bytes: Buffer, from: number, to: number) => void;
  /** A reply is complete. */
  onReply: () => void;
  onError: (text: string) => void;
}

/** Reads replies at any split. */
export function replies({ onBulk, onReply, onError }: ReplyHandler): (chunk: Uint8Array) => void {
  let left = 1; // elements that the current reply still lacks
  return cutter((bytes, at) => {
    let next = lineEnd(bytes, at);
    if (next < 0) return -1;
    const kind = bytes[at];
    const value = decimal(bytes, at + 1);
    if (kind === 0x24 && value >= 0) {
      const end = next + value;
      if (end + 2 > bytes.length) return -1;
      onBulk?.(bytes, next, end);
      next = end + 2;
    } else if (kind === 0x2d) onError(bytes.toString('latin1', at + 1, next - 2));
    left -= 1;
    if (kind === 0x2a && value > 0) left += value;
    if (left > 0) return next;
    left = 1;
    onReply();
    return next;
  });
}

const failing = (side: { onFailure: (error: Error) => void }) => (text: string) =>
  side.onFailure(new Error(`Redis says: ${text}`));

async function prepare(port: number): Promise<void> {
  let link: Link | undefined;
  await new Promise<void>((resolve, reject) => {
    const handler = { onReply: resolve, onError: (text: string) => reject(new Error(text)) };
    Link.to(port, reject).then((made) => {
      link = made;
      made.receive(replies(handler));
      made.write(command('XGROUP', 'CREATE', STREAM, GROUP, '0', 'MKSTREAM'));
    }, reject);
  });
  link?.close();
}

async function publisher(side: Side): Promise<Publisher> {
  const link = await Link.to(side.port, side.onFailure);
  let confirmed = 0;
  const read = replies({ onReply: () => confirmed++, onError: failing(side) });
  link.receive((bytes) => {
    confirmed = 0;
    read(bytes);
    if (confirmed > 0) side.onMessages(confirmed);
  });
  const one = command('XADD', STREAM, '*', 'd', bodyOf(side.messageBytes));
  const batch = repeated(one, side.batchMessages);
  return { send: () => link.write(batch), close: () => link.close() };
}

async function subscriber(side: Side): Promise<Subscriber> {
  const link = await Link.to(side.port, side.onFailure);
  const reading = ['XREADGROUP', 'GROUP', GROUP, 'c', 'COUNT', String(READ_MESSAGES)];
  const ask = command(...reading, 'BLOCK', '1000', 'STREAMS', STREAM, '>');
  const order: ('read' | 'ack')[] = []; // what the coming replies answer
  let ids: string[] = [];
  let bulks = 0;
  const read = (): void => {
    order.push('read');
    link.write(ask);
  };
  const settle = (): void => {
    const taken = ids;
    ids = [];
    bulks = 0;
    if (taken.length > 0) {
      link.write(acknowledgement(taken));
      order.push('ack', 'ack');
      side.onMessages(taken.length);
    }
    read();
  };
  link.receive(
    replies({
      onBulk: (bytes, from, to) => {
        // The stream's name, then for each message its id, a field and a value.
        if (bulks > 0 && bulks % 3 === 1) ids.push(bytes.toString('latin1', from, to));
        bulks += 1;
      },
      onReply: () => {
        if (order.shift() === 'read') settle();
      },
      onError: failing(side),
    }),
  );
  for (let index = 0; index < READS_AHEAD; index++) read();
  return { close: () => link.close() };
}

/** XACK of these messages, and XTRIM of everything up to the last of them. */
export function acknowledgement(ids: readonly string[]): string {
  const head = `*${ids.length + 3}\r\n$4\r\nXACK\r\n$${STREAM.length}\r\n${STREAM}\r\n$1\r\n${GROUP}\r\n`;
  const list = ids.map((id) => `$${id.length}\r\n${id}\r\n`).join('');
  return head + list + command('XTRIM', STREAM, 'MINID', '~', ids.at(-1)!).toString('latin1');
}

export const REDIS: Speaker = { prepare, publisher, subscriber };
