// What a node says first on the cluster port of another, and what it is answered: one table of
// bytes, how both are written, and how they are read with bounds.
//
//   node                            owner
//     preamble, 192 bytes  ───────►
//                          ◄───────  answer, 8 bytes: welcome, or why not and the end
//     a client's bytes     ◄──────►  the broker's bytes
//     or orders            ◄──────►  answers to them
//     or nothing           ◄───────  what the stream confirms to the owner

import net from 'node:net';
import type { Side } from '../../contract/snapshot.ts';

/** Numbers are little-endian; what is not used is 0. */
export const PREAMBLE = {
  MAGIC: 0, // 4: `TMQP`
  VERSION: 4, // u8
  SIDE: 5, // u8: 0 intake, 1 exhaust; 2 orders, 3 stream: there is no client then
  DIALECT: 6, // u8: bytes of Length, 4 or 8
  FAMILY: 7, // u8: of the client's address, 4 or 6
  ADDRESS: 8, // 16: an IPv4 address in the first 4; of `stream`, LOG_ID in the first 8
  PORT: 24, // u16: the client's
  CLUSTER_BYTES: 26, // u8
  NODE_BYTES: 27, // u8
  RESERVED: 28, // 4
  PROOF: 32, // 32: of the token; 0 where certificates say who it is
  CLUSTER: 64, // 64: UTF-8
  NODE: 128, // 64: UTF-8, who says this
  BYTES: 192,
} as const;

/** The answer: magic and version stand where the preamble has them. */
export const ANSWER = { CODE: 5, BYTES: 8 } as const;

export const PREAMBLE_VERSION = 1;
export const PROOF_BYTES = 32;
export const NAME_BYTES_MAX = 64;

const MAGIC = Buffer.of(0x54, 0x4d, 0x51, 0x50);
const SIDES = ['intake', 'exhaust', 'orders', 'stream'] as const;

/** What the owner says, by the number it sends. */
export const VERDICTS = [
  'welcome',
  'not-a-node', // other bytes than a node's
  'version', // a newer one than is known here
  'malformed',
  'cluster', // it belongs to another
  'token', // wrong, or none
  'not-owner', // clients have to go elsewhere
  'full', // too many connections
] as const;
export type Verdict = (typeof VERDICTS)[number];

/** The node that connects. */
interface From {
  /** Its name. */
  node: string;
  cluster: string;
  /** 32 bytes made of the token; zeros: there is none. */
  proof: Uint8Array;
}

/** A client, as its own node sees it. */
export interface Client {
  side: Side;
  /** Dialect: bytes of Length, 4 or 8. */
  wire: number;
  address: string;
  port: number;
}

/** The client that is passed on, and by whom. */
export type Preamble = Client & From;

/** No client comes: the node itself has orders. */
export type OrdersPreamble = { side: 'orders' } & From;

/** No client comes: the node follows the stream of the log with this LOG_ID, unsigned. */
export type StreamPreamble = Following & From;
export interface Following {
  side: 'stream';
  logId: bigint;
}

/** Whatever a node comes for. */
export type AnyPreamble = Preamble | OrdersPreamble | StreamPreamble;

/** Writes a preamble. Throws RangeError for a name of another length, or what is no address. */
export function writePreamble(of: AnyPreamble): Buffer {
  const bytes = Buffer.alloc(PREAMBLE.BYTES);
  MAGIC.copy(bytes, PREAMBLE.MAGIC);
  bytes[PREAMBLE.VERSION] = PREAMBLE_VERSION;
  bytes[PREAMBLE.SIDE] = SIDES.indexOf(of.side);
  if (of.side === 'stream') bytes.writeBigUInt64LE(of.logId, PREAMBLE.ADDRESS);
  else if (of.side !== 'orders') writeClient(bytes, of);
  bytes[PREAMBLE.CLUSTER_BYTES] = writeName(bytes, PREAMBLE.CLUSTER, of.cluster);
  bytes[PREAMBLE.NODE_BYTES] = writeName(bytes, PREAMBLE.NODE, of.node);
  bytes.set(of.proof.subarray(0, PROOF_BYTES), PREAMBLE.PROOF);
  return bytes;
}

function writeClient(bytes: Buffer, { wire, address: text, port }: Client): void {
  const address = addressBytes(text);
  bytes[PREAMBLE.DIALECT] = wire;
  bytes[PREAMBLE.FAMILY] = address.length === 4 ? 4 : 6;
  bytes.set(address, PREAMBLE.ADDRESS);
  bytes.writeUInt16LE(port, PREAMBLE.PORT);
}

function writeName(into: Buffer, at: number, name: string): number {
  const length = Buffer.byteLength(name);
  if (length < 1 || length > NAME_BYTES_MAX)
    throw new RangeError(`a name has 1 to ${NAME_BYTES_MAX} bytes, not ${length}: "${name}"`);
  return into.write(name, at);
}

/**
 * Reads what came so far: a preamble, or what is wrong with it, as soon as that is certain;
 * undefined: it is not whole. Never looks behind its own bytes.
 */
export function readPreamble(bytes: Buffer): AnyPreamble | Verdict | undefined {
  const begun = Math.min(bytes.length, MAGIC.length);
  if (!bytes.subarray(0, begun).equals(MAGIC.subarray(0, begun))) return 'not-a-node';
  if (bytes.length <= PREAMBLE.VERSION) return undefined;
  const version = bytes[PREAMBLE.VERSION]!;
  if (version !== PREAMBLE_VERSION) return version === 0 ? 'malformed' : 'version';
  if (bytes.length < PREAMBLE.BYTES) return undefined;
  const side = SIDES[bytes[PREAMBLE.SIDE]!];
  const cluster = readName(bytes, PREAMBLE.CLUSTER, bytes[PREAMBLE.CLUSTER_BYTES]!);
  const node = readName(bytes, PREAMBLE.NODE, bytes[PREAMBLE.NODE_BYTES]!);
  if (!side || !cluster || !node || bytes.readUInt32LE(PREAMBLE.RESERVED) !== 0) return 'malformed';
  const proof = Buffer.from(bytes.subarray(PREAMBLE.PROOF, PREAMBLE.PROOF + PROOF_BYTES));
  const from = { node, cluster, proof };
  if (side === 'intake' || side === 'exhaust') return readClient(bytes, side, from) ?? 'malformed';
  const client = Buffer.from(bytes.subarray(PREAMBLE.DIALECT, PREAMBLE.CLUSTER_BYTES));
  const logId = bytes.readBigUInt64LE(PREAMBLE.ADDRESS);
  const at = PREAMBLE.ADDRESS - PREAMBLE.DIALECT;
  if (side === 'stream') client.fill(0, at, at + 8);
  if (!isZero(client)) return 'malformed';
  return side === 'stream' ? { side, logId, ...from } : { side, ...from };
}

function readClient(bytes: Buffer, side: Side, from: From): Preamble | undefined {
  const wire = bytes[PREAMBLE.DIALECT]!;
  const address = readAddress(bytes);
  if (address === undefined || (wire !== 4 && wire !== 8)) return undefined;
  return { side, wire, address, port: bytes.readUInt16LE(PREAMBLE.PORT), ...from };
}

// A name without control characters, so that it can stand in a line of a log; or undefined.
function readName(bytes: Buffer, at: number, length: number): string | undefined {
  if (length < 1 || length > NAME_BYTES_MAX) return undefined;
  if (!isZero(bytes.subarray(at + length, at + NAME_BYTES_MAX))) return undefined;
  const name = bytes.toString('utf8', at, at + length);
  return Buffer.byteLength(name) === length && !/[\p{C}\uFFFD]/u.test(name) ? name : undefined;
}

function readAddress(bytes: Buffer): string | undefined {
  const all = bytes.subarray(PREAMBLE.ADDRESS, PREAMBLE.ADDRESS + 16);
  if (bytes[PREAMBLE.FAMILY] === 4)
    return isZero(all.subarray(4)) ? all.subarray(0, 4).join('.') : undefined;
  if (bytes[PREAMBLE.FAMILY] !== 6) return undefined;
  const words = Array.from({ length: 8 }, (_, i) => all.readUInt16BE(2 * i).toString(16));
  return new URL(`http://[${words.join(':')}]`).hostname.slice(1, -1);
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

// 4 or 16 bytes. IPv4 in an IPv6 socket is IPv4; a zone says nothing on another machine.
function addressBytes(text: string): Uint8Array {
  const plain = text.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (net.isIPv4(plain)) return Uint8Array.from(plain.split('.').map(Number));
  if (!net.isIPv6(plain)) throw new RangeError(`"${text}" is no address`);
  const [head = '', tail = ''] = new URL(`http://[${plain}]`).hostname.slice(1, -1).split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const gap = new Array<string>(8 - left.length - right.length).fill('0');
  const words = [...left, ...gap, ...right].map((word) => Number.parseInt(word, 16));
  return Uint8Array.from(words.flatMap((word) => [word >> 8, word & 255]));
}

export function writeAnswer(verdict: Verdict): Buffer {
  const bytes = Buffer.alloc(ANSWER.BYTES);
  MAGIC.copy(bytes, PREAMBLE.MAGIC);
  bytes[PREAMBLE.VERSION] = PREAMBLE_VERSION;
  bytes[ANSWER.CODE] = VERDICTS.indexOf(verdict);
  return bytes;
}

/** Reads an answer of `ANSWER.BYTES`; what no owner of ours says is `not-a-node`. */
export function readAnswer(bytes: Buffer): Verdict {
  const isOurs = bytes.length === ANSWER.BYTES && bytes.subarray(0, 4).equals(MAGIC);
  return (isOurs ? VERDICTS[bytes[ANSWER.CODE]!] : undefined) ?? 'not-a-node';
}
