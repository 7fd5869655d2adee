// Orders and answers as they are read from another node, which may be newer or older: JSON that is
// what it has to be, field by field, or nothing. What is not known is left out.

import { NODE_STATES, type NodeStatus } from '../../contract/cluster.ts';
import type { Command, CommandKind, Outcome, Refusal } from '../../contract/commands.ts';
import type { Order, OrderAnswer, SeenNode } from '../../contract/orders.ts';

/** Nodes of one answer, and characters of what a node says of itself. */
export const NODES_MAX = 64;
const TEXT_MAX = 300;

type Json = Record<string, unknown>;
type Is = (value: unknown) => boolean;

const text: Is = (value) => typeof value === 'string';
const flag: Is = (value) => typeof value === 'boolean';
const whole: Is = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const number: Is = (value) => typeof value === 'number' && value >= 0;
const short: Is = (value) => typeof value === 'string' && value.length <= TEXT_MAX;
const texts: Is = (value) => Array.isArray(value) && value.every(text);
const perhaps =
  (is: Is): Is =>
  (value) =>
    value === undefined || is(value);
const orNull =
  (is: Is): Is =>
  (value) =>
    value === null || is(value);
const object = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

type Fields<T> = Record<keyof T & string, Is>;
type CommandFields = {
  [Kind in CommandKind]: Fields<Omit<Extract<Command, { kind: Kind }>, 'kind'>>;
};

const none = {};
const id = { id: text };
const page = { limit: whole, cursor: perhaps(text) };
const rule = { name: text, expected: perhaps(text), preview: perhaps(flag) };

const COMMANDS: CommandFields = {
  buckets: { ...page, sort: text, prefix: perhaps(text), line: perhaps(text) },
  bucket: { ...id, line: perhaps(text) },
  peek: { ...id, limit: whole, bytes: whole, line: perhaps(text), after: perhaps(text) },
  connections: page,
  segments: page,
  rules: page,
  rule: { name: text },
  'rule-keys': none,
  'bucket-rule': id,
  'rule-set': { ...rule, match: text, words: texts },
  'rule-remove': rule,
  close: { connection: whole },
  pause: id,
  resume: id,
  purge: { ...id, line: perhaps(text) },
  redrive: { ...id, to: perhaps(text), limit: perhaps(number), rate: perhaps(number) },
  'redrive-cancel': id,
  'dead-reasons': { ...id, limit: whole },
  backup: { into: text },
  'backup-state': none,
  'backup-cancel': none,
  'cluster-step-down': { leader: perhaps(flag) },
};

const STATUS: Fields<NodeStatus> = {
  node: whole,
  address: short,
  dashboard: orNull(short),
  version: short,
  startedAt: short,
  state: (value) => (NODE_STATES as readonly unknown[]).includes(value),
  epoch: whole,
  position: short,
  sequence: whole,
  lag: whole,
  lagMs: number,
  blocked: orNull(short),
  building: orNull((value) => object(value) && whole(value.bytes) && whole(value.bytesTotal)),
};

const CODES: Record<Refusal['code'], true> = {
  'bad-request': true,
  'not-found': true,
  conflict: true,
  changed: true,
  'no-space': true,
  'too-many': true,
  failed: true,
  stopping: true,
};

/** What a frame holds; undefined: no object of JSON. */
export function readJson(json: Buffer): Json | undefined {
  try {
    const value: unknown = JSON.parse(json.toString());
    return object(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** An order; undefined: none that is known here. */
export function readOrder(json: Json): Order | undefined {
  if (json.kind === 'status') {
    const status = readStatus(json.status);
    return status && { kind: 'status', status };
  }
  const { command } = json;
  if (json.kind !== 'command' || !object(command)) return undefined;
  const kind = command.kind as CommandKind;
  if (typeof kind !== 'string' || !Object.hasOwn(COMMANDS, kind)) return undefined;
  const read = pick(command, COMMANDS[kind]);
  return read && { kind: 'command', command: { kind, ...read } as Command };
}

/** An answer; undefined: none that is known here. */
export function readOrderAnswer(json: Json): OrderAnswer | undefined {
  if (json.refused === 'not-owner') return { refused: 'not-owner' };
  if (Array.isArray(json.nodes))
    return { nodes: json.nodes.slice(0, NODES_MAX).flatMap((one) => readSeen(one) ?? []) };
  const outcome = readOutcome(json.outcome);
  return outcome && { outcome };
}

function readOutcome(value: unknown): Outcome | undefined {
  if (!object(value)) return undefined;
  const { ok, result, code, detail, at } = value;
  if (ok === true) return typeof result === 'object' && result ? { ok, result } : undefined;
  if (ok !== false || typeof detail !== 'string' || typeof code !== 'string') return undefined;
  const known = Object.hasOwn(CODES, code) ? (code as Refusal['code']) : 'failed';
  return { ok, code: known, detail, ...(typeof at === 'string' && { at }) };
}

function readSeen(value: unknown): SeenNode | undefined {
  const status = readStatus(value);
  const seenMs = object(value) ? value.seenMs : undefined;
  return status && number(seenMs) ? { ...status, seenMs: seenMs as number } : undefined;
}

function readStatus(value: unknown): NodeStatus | undefined {
  return object(value) ? (pick(value, STATUS) as NodeStatus | undefined) : undefined;
}

// The fields that are known, if each is what it has to be.
function pick(from: Json, fields: Record<string, Is>): Json | undefined {
  const picked: Json = {};
  for (const [name, is] of Object.entries(fields)) {
    const value = Object.hasOwn(from, name) ? from[name] : undefined;
    if (!is(value)) return undefined;
    if (value !== undefined) picked[name] = value;
  }
  return picked;
}
