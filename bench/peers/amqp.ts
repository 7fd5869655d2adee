// RabbitMQ as far as the load needs it: AMQP 0-9-1 with publisher confirms, one quorum queue, and a
// consumer that acks several messages at once. Frames are written by hand.

import {
  bodyOf,
  cutter,
  Link,
  type Publisher,
  repeated,
  type Side,
  type Speaker,
  type Subscriber,
} from './protocol.ts';

const QUEUE = 'bench';
const PREFETCH = 2000;

const METHOD = 1;
const HEADER = 2;
const BODY = 3;
const HEARTBEAT = 8;
const FRAME_HEAD_BYTES = 7;
const FRAME_END = 0xce;

/** Methods by class and number. */
const of = (group: number, number: number): number => group * 65_536 + number;
const START = of(10, 10);
const START_OK = of(10, 11);
const TUNE = of(10, 30);
const TUNE_OK = of(10, 31);
const OPEN = of(10, 40);
const OPEN_OK = of(10, 41);
const CLOSE = of(10, 50);
const CHANNEL_OPEN = of(20, 10);
const CHANNEL_OPEN_OK = of(20, 11);
const CHANNEL_CLOSE = of(20, 40);
const DECLARE = of(50, 10);
const DECLARE_OK = of(50, 11);
const QOS = of(60, 10);
const QOS_OK = of(60, 11);
const CONSUME = of(60, 20);
const CONSUME_OK = of(60, 21);
const PUBLISH = of(60, 40);
const DELIVER = of(60, 60);
const ACK = of(60, 80);
const NACK = of(60, 120);
const SELECT = of(85, 10);
const SELECT_OK = of(85, 11);

function frame(type: number, channel: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(FRAME_HEAD_BYTES + payload.length + 1);
  bytes.writeUInt8(type, 0);
  bytes.writeUInt16BE(channel, 1);
  bytes.writeUInt32BE(payload.length, 3);
  bytes.set(payload, FRAME_HEAD_BYTES);
  bytes.writeUInt8(FRAME_END, bytes.length - 1);
  return bytes;
}

function method(channel: number, name: number, ...args: Uint8Array[]): Buffer {
  return frame(METHOD, channel, Buffer.concat([u32(name), ...args]));
}

const u8 = (value: number): Buffer => Buffer.from([value]);
const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}
const short = (text: string): Buffer => Buffer.concat([u8(text.length), Buffer.from(text)]);
const long = (text: string): Buffer => Buffer.concat([u32(text.length), Buffer.from(text)]);
/** A table of texts and numbers. */
export function table(entries: Record<string, string | number>): Buffer {
  const parts = Object.entries(entries).map(([key, value]) =>
    typeof value === 'string'
      ? Buffer.concat([short(key), Buffer.from('S'), long(value)])
      : Buffer.concat([short(key), Buffer.from('l'), u64(value)]),
  );
  const bytes = Buffer.concat(parts);
  return Buffer.concat([u32(bytes.length), bytes]);
}

export interface FrameHandler {
  /** `at`: where the arguments begin. Valid during the call. */
  onMethod: (name: number, bytes: Buffer, at: number) => void;
  /** A message's body is complete, of so many bytes. */
  onBody?: (bytes: number) => void;
  onError: (text: string) => void;
}

/** Reads frames at any split. */
export function frames(handler: FrameHandler): (chunk: Uint8Array) => void {
  let left = 0; // bytes of the current body still to come
  let whole = 0;
  return cutter((bytes, at) => {
    if (at + FRAME_HEAD_BYTES > bytes.length) return -1;
    const payloadAt = at + FRAME_HEAD_BYTES;
    const size = bytes.readUInt32BE(at + 3);
    const next = payloadAt + size + 1;
    if (next > bytes.length) return -1;
    const type = bytes[at];
    if (bytes[next - 1] !== FRAME_END) handler.onError('a frame without an end');
    else if (type === METHOD) handler.onMethod(bytes.readUInt32BE(payloadAt), bytes, payloadAt + 4);
    else if (type === HEADER) {
      whole = Number(bytes.readBigUInt64BE(payloadAt + 4));
      left = whole;
      if (left === 0) handler.onBody?.(whole);
    } else if (type === BODY) {
      left -= size;
      if (left === 0) handler.onBody?.(whole);
    } else if (type !== HEARTBEAT) handler.onError(`a frame of type ${type}`);
    return next;
  });
}

export interface Hooks {
  onMethod: FrameHandler['onMethod'];
  onBody?: FrameHandler['onBody'];
  /** A chunk has been read to its end. */
  onChunk?: () => void;
}

/** A connection with one open channel. */
export class Channel {
  readonly #link: Link;
  readonly #onFailure: (error: Error) => void;
  #waiting: { name: number; met: () => void } | undefined;
  #hooks: Hooks | undefined;

  static async open(port: number, onFailure: (error: Error) => void): Promise<Channel> {
    let fail: (error: Error) => void = () => {};
    const failed = new Promise<never>((_, reject) => {
      fail = reject;
    });
    failed.catch(() => {});
    const both = (error: Error): void => {
      fail(error);
      onFailure(error);
    };
    const channel = new Channel(await Link.to(port, both), both);
    const opening = async (): Promise<void> => {
      await channel.ask(START, Buffer.from('AMQP\x00\x00\x09\x01', 'latin1'));
      const login = [table({}), short('PLAIN'), long('\x00guest\x00guest'), short('en_US')];
      await channel.ask(TUNE, method(0, START_OK, ...login));
      channel.write(method(0, TUNE_OK, u16(1), u32(131_072), u16(0)));
      await channel.ask(OPEN_OK, method(0, OPEN, short('/'), short(''), u8(0)));
      await channel.ask(CHANNEL_OPEN_OK, method(1, CHANNEL_OPEN, short('')));
    };
    await Promise.race([opening(), failed]);
    return channel;
  }

  constructor(link: Link, onFailure: (error: Error) => void) {
    this.#link = link;
    this.#onFailure = onFailure;
    const read = frames({
      onMethod: (name, bytes, at) => this.#method(name, bytes, at),
      onBody: (size) => this.#hooks?.onBody?.(size),
      onError: (text) => onFailure(new Error(`not AMQP: ${text}`)),
    });
    link.receive((bytes) => {
      read(bytes);
      this.#hooks?.onChunk?.();
    });
  }

  #method(name: number, bytes: Buffer, at: number): void {
    if (name === CLOSE || name === CHANNEL_CLOSE) {
      const text = bytes.toString('latin1', at + 3, at + 3 + bytes[at + 2]);
      this.#onFailure(new Error(`RabbitMQ says: ${bytes.readUInt16BE(at)} ${text}`));
    } else if (name === this.#waiting?.name) {
      const { met } = this.#waiting;
      this.#waiting = undefined;
      met();
    } else this.#hooks?.onMethod(name, bytes, at);
  }

  /** Sends something and waits for this answer. */
  ask(answer: number, bytes: Uint8Array): Promise<void> {
    return new Promise((met) => {
      this.#waiting = { name: answer, met };
      this.#link.write(bytes);
    });
  }

  hook(hooks: Hooks): void {
    this.#hooks = hooks;
  }

  write(bytes: Uint8Array): void {
    this.#link.write(bytes);
  }

  close(): void {
    this.#link.close();
  }
}

/** Counts confirms: each names one message, or all up to one, and singles may come early. */
export class Confirms {
  readonly #early = new Set<number>();
  #upTo = 0;

  /** Gives how many messages are confirmed now and were not before. */
  take(tag: number, multiple: boolean): number {
    const before = this.#upTo + this.#early.size;
    if (!multiple) this.#early.add(tag);
    else if (tag > this.#upTo) {
      for (const one of this.#early) if (one <= tag) this.#early.delete(one);
      this.#upTo = tag;
    }
    while (this.#early.delete(this.#upTo + 1)) this.#upTo += 1;
    return this.#upTo + this.#early.size - before;
  }
}

const DURABLE = 2;

/** Makes a durable queue with these arguments. */
export async function declare(
  port: number,
  queue: string,
  args: Record<string, string | number>,
): Promise<void> {
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  const channel = await Channel.open(port, (error) => fail(error));
  const asking = method(1, DECLARE, u16(0), short(queue), u8(DURABLE), table(args));
  await Promise.race([channel.ask(DECLARE_OK, asking), failed]);
  channel.close();
}

const prepare = (port: number): Promise<void> => declare(port, QUEUE, { 'x-queue-type': 'quorum' });

/** A message as its three frames. */
export function publishing(body: Uint8Array, queue = QUEUE): Buffer {
  const persistent = Buffer.concat([u16(0x1000), u8(2)]); // the delivery mode and nothing else
  return Buffer.concat([
    method(1, PUBLISH, u16(0), short(''), short(queue), u8(0)),
    frame(HEADER, 1, Buffer.concat([u16(60), u16(0), u64(body.length), persistent])),
    frame(BODY, 1, body),
  ]);
}

/** A channel whose publishes are confirmed: `onMessages` says how many at once. */
export async function confirming(
  side: Omit<Side, 'messageBytes' | 'batchMessages'>,
): Promise<Channel> {
  const channel = await Channel.open(side.port, side.onFailure);
  await channel.ask(SELECT_OK, method(1, SELECT, u8(0)));
  const confirms = new Confirms();
  let confirmed = 0;
  channel.hook({
    onMethod: (name, bytes, at) => {
      if (name === NACK) side.onFailure(new Error('RabbitMQ refuses a message'));
      if (name !== ACK) return;
      confirmed += confirms.take(Number(bytes.readBigUInt64BE(at)), (bytes[at + 8] & 1) === 1);
    },
    onChunk: () => {
      const count = confirmed;
      confirmed = 0;
      if (count > 0) side.onMessages(count);
    },
  });
  return channel;
}

async function publisher(side: Side): Promise<Publisher> {
  const channel = await confirming(side);
  const batch = repeated(publishing(bodyOf(side.messageBytes)), side.batchMessages);
  return { send: () => channel.write(batch), close: () => channel.close() };
}

async function subscriber(side: Side): Promise<Subscriber> {
  let taken = 0;
  let last = 0;
  const channel = await consuming(side, QUEUE, PREFETCH, {
    onMessage: (tag) => {
      taken += 1;
      last = tag;
    },
    onChunk: (self) => {
      if (taken === 0) return;
      const count = taken;
      taken = 0;
      self.write(ackUpTo(last));
      side.onMessages(count);
    },
  });
  return { close: () => channel.close() };
}

/** Says of all messages up to a tag that they are done. */
export const ackUpTo = (tag: number): Buffer => method(1, ACK, u64(tag), u8(1));

/** A channel that is given the messages of a queue, so many at once without an ack. */
export async function consuming(
  { port, onFailure }: Pick<Side, 'port' | 'onFailure'>,
  queue: string,
  prefetch: number,
  hooks: { onMessage: (tag: number, bytes: number) => void; onChunk: (self: Channel) => void },
): Promise<Channel> {
  const channel = await Channel.open(port, onFailure);
  await channel.ask(QOS_OK, method(1, QOS, u32(0), u16(prefetch), u8(0)));
  let tag = 0;
  channel.hook({
    onMethod: (name, bytes, at) => {
      if (name === DELIVER) tag = Number(bytes.readBigUInt64BE(at + 1 + bytes[at]));
    },
    onBody: (size) => hooks.onMessage(tag, size),
    onChunk: () => hooks.onChunk(channel),
  });
  const consume = method(1, CONSUME, u16(0), short(queue), short('c'), u8(0), table({}));
  await channel.ask(CONSUME_OK, consume);
  return channel;
}

export const AMQP: Speaker = { prepare, publisher, subscriber };
