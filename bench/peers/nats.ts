// NATS JetStream as far as the load needs it: publishing with a reply subject, which the ack comes
// to, and a durable pull consumer that acks each message. The text protocol, with headers, because
// the end of a pull request is told in one.

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

const SUBJECT = 'bench';
const STREAM = 'BENCH';
const CONSUMER = 'c';
const HELLO = 'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n';
const PULL_MESSAGES = 1000;
/** Pull requests that are open at the same time. */
const PULLS = 4;
const ACKS_PENDING_MAX = 20_000;
const SPACE = 32;

export interface NatsHandler {
  /** A message; `reply` is where its ack goes, or empty. Valid during the call. */
  onMessage: (bytes: Buffer, from: number, to: number, reply: string) => void;
  /** A message that says only how a request ended, as "408". */
  onStatus?: (status: string) => void;
  onPing: () => void;
  onError: (text: string) => void;
}

/** Reads what a server sends, at any split; `replies`: whether anybody asks for reply subjects. */
export function reader(handler: NatsHandler, replies: boolean): (chunk: Uint8Array) => void {
  return cutter((bytes, at) => {
    const body = lineEnd(bytes, at);
    if (body < 0) return -1;
    const kind = bytes[at];
    const headed = kind === 0x48; // HMSG
    if (!headed && kind !== 0x4d) {
      if (kind === 0x50 && bytes[at + 1] === 0x49) handler.onPing();
      else if (kind === 0x2d) handler.onError(bytes.toString('latin1', at + 1, body - 2));
      return body;
    }
    const line = body - 2;
    let sizeAt = line;
    while (bytes[sizeAt - 1] !== SPACE) sizeAt -= 1;
    const end = body + decimal(bytes, sizeAt);
    if (end + 2 > bytes.length) return -1;
    if (
      headed &&
      bytes.toString('latin1', body, body + 8) === 'NATS/1.0' &&
      bytes[body + 8] === SPACE
    )
      handler.onStatus?.(bytes.toString('latin1', body + 9, body + 12));
    else handler.onMessage(bytes, body, end, replies ? replyOf(bytes, at, sizeAt - 1) : '');
    return end + 2;
  });
}

/** MSG SUBJECT SID [REPLY] SIZE: the fourth word, if there are five. `to`: the space before SIZE. */
function replyOf(bytes: Buffer, at: number, to: number): string {
  const words = bytes.toString('latin1', at, to).split(' ');
  return words[3] ?? '';
}

function publishing(subject: string, reply: string, body: Uint8Array | string): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.from(`PUB ${subject} ${reply} ${bytes.length}\r\n`);
  return Buffer.concat([head, bytes, Buffer.from('\r\n')]);
}

const NANOSECONDS = 1e9;

async function prepare(port: number, replicas = 1): Promise<void> {
  await request(port, `$JS.API.STREAM.CREATE.${STREAM}`, {
    name: STREAM,
    subjects: [SUBJECT],
    retention: 'workqueue',
    storage: 'file',
    num_replicas: replicas,
  });
  await request(port, `$JS.API.CONSUMER.DURABLE.CREATE.${STREAM}.${CONSUMER}`, {
    stream_name: STREAM,
    config: {
      durable_name: CONSUMER,
      ack_policy: 'explicit',
      ack_wait: 30 * NANOSECONDS,
      max_ack_pending: ACKS_PENDING_MAX,
      max_waiting: 64,
    },
  });
}

/** Asks JetStream; rejects with what it answers if that is an error. */
async function request(port: number, subject: string, body: object): Promise<void> {
  let link: Link | undefined;
  await new Promise<void>((resolve, reject) => {
    const read = reader(
      {
        onMessage: (bytes, from, to) => {
          const { error } = JSON.parse(bytes.toString('utf8', from, to)) as { error?: object };
          if (error === undefined) resolve();
          else reject(new Error(`NATS refuses ${subject}: ${JSON.stringify(error)}`));
        },
        onStatus: (status) => reject(new Error(`NATS answers ${subject} with ${status}`)),
        onPing: () => link?.write('PONG\r\n'),
        onError: (text) => reject(new Error(`NATS says: ${text}`)),
      },
      false,
    );
    Link.to(port, reject).then((made) => {
      link = made;
      made.receive(read);
      const text = publishing(subject, '_INBOX.a', JSON.stringify(body)).toString();
      made.write(`${HELLO}SUB _INBOX.a 1\r\n${text}`);
    }, reject);
  });
  link?.close();
}

let inboxes = 0;

async function publisher(side: Side): Promise<Publisher> {
  const link = await Link.to(side.port, side.onFailure);
  const inbox = `_INBOX.p${process.pid}.${inboxes++}`;
  let confirmed = 0;
  const read = reader(
    {
      onMessage: (bytes, from, to) => {
        // {"stream":…} or {"error":…}: one letter tells them apart.
        if (bytes[from + 2] === 0x73) confirmed += 1;
        else side.onFailure(new Error(`NATS refuses: ${bytes.toString('utf8', from, to)}`));
      },
      onStatus: (status) => side.onFailure(new Error(`NATS answers a publish with ${status}`)),
      onPing: () => link.write('PONG\r\n'),
      onError: (text) => side.onFailure(new Error(`NATS says: ${text}`)),
    },
    false,
  );
  link.receive((bytes) => {
    confirmed = 0;
    read(bytes);
    if (confirmed > 0) side.onMessages(confirmed);
  });
  link.write(`${HELLO}SUB ${inbox} 1\r\n`);
  const one = publishing(SUBJECT, inbox, bodyOf(side.messageBytes));
  const batch = repeated(one, side.batchMessages);
  return { send: () => link.write(batch), close: () => link.close() };
}

async function subscriber(side: Side): Promise<Subscriber> {
  const link = await Link.to(side.port, side.onFailure);
  const inbox = `_INBOX.c${process.pid}.${inboxes++}`;
  const pull = publishing(
    `$JS.API.CONSUMER.MSG.NEXT.${STREAM}.${CONSUMER}`,
    inbox,
    JSON.stringify({ batch: PULL_MESSAGES, expires: 5 * NANOSECONDS }),
  );
  let acks = '';
  let taken = 0;
  let left = 0; // messages that open requests still allow
  const ask = (): void => {
    left += PULL_MESSAGES;
    link.write(pull);
  };
  const read = reader(
    {
      onMessage: (_, _from, _to, reply) => {
        acks += `PUB ${reply} 4\r\n+ACK\r\n`;
        taken += 1;
      },
      // A request ended before it was used up; the one that comes in its place makes up for it.
      onStatus: () => {
        left = Math.max(0, left - PULL_MESSAGES);
      },
      onPing: () => link.write('PONG\r\n'),
      onError: (text) => side.onFailure(new Error(`NATS says: ${text}`)),
    },
    true,
  );
  link.receive((bytes) => {
    acks = '';
    taken = 0;
    read(bytes);
    if (taken > 0) link.write(acks);
    left -= taken;
    while (left <= (PULLS - 1) * PULL_MESSAGES) ask();
    if (taken > 0) side.onMessages(taken);
  });
  link.write(`${HELLO}SUB ${inbox} 1\r\n`);
  for (let index = 0; index < PULLS; index++) ask();
  return { close: () => link.close() };
}

export const NATS: Speaker = { prepare, publisher, subscriber };
