// How the stream of a cluster is made, and whether one that is there was made so. A setting that
// differs could lose what is acked, or let somebody take it away: no difference is let pass.

import type { StreamConfig, StreamInfo } from './nats.ts';

/** Which stream, and what of it an operator says. */
export interface StreamChoice {
  /** Name of the cluster: letters, digits, `_` and `-`. */
  cluster: string;
  shard: number;
  /** Most bytes it may hold. */
  maxBytes: number;
  /** Copies: 3, or 1 where an operator said that the node's disk alone is enough. */
  replicas: number;
}

// Who makes the stream says of which log it is to be: all nodes that find it empty begin the same.
const DESCRIPTION = /^ThrustMQ log, format 1, id ([0-9a-f]{16})$/;
// The least that servers take; no message has an id.
const DUPLICATE_WINDOW_NS = 100_000_000;

export function streamName({ cluster, shard }: StreamChoice): string {
  return `TMQ_${cluster}_${shard}`;
}

/** All messages have this one subject; what kind each is stands in its envelope. */
export function subjectOf({ cluster, shard }: StreamChoice): string {
  return `tmq.${cluster}.${shard}`;
}

/** LOG_ID, unsigned, that a stream was made for; undefined: it is none of ThrustMQ. */
export function logIdIn({ description }: Pick<StreamConfig, 'description'>): bigint | undefined {
  const found = DESCRIPTION.exec(description ?? '');
  return found === null ? undefined : BigInt(`0x${found[1]}`);
}

/** What the stream is made with, for a log of that LOG_ID, unsigned. */
export function streamConfig(choice: StreamChoice, logId: bigint) {
  return {
    name: streamName(choice),
    description: `ThrustMQ log, format 1, id ${logId.toString(16).padStart(16, '0')}`,
    subjects: [subjectOf(choice)],
    retention: 'limits',
    storage: 'file',
    discard: 'new',
    num_replicas: choice.replicas,
    max_bytes: choice.maxBytes,
    max_age: 0,
    max_msgs: -1,
    max_msgs_per_subject: -1,
    max_msg_size: -1,
    max_consumers: -1,
    deny_delete: true,
    deny_purge: false,
    allow_direct: true,
    allow_rollup_hdrs: false,
    duplicate_window: DUPLICATE_WINDOW_NS,
  };
}

// Must not be there at all, or be empty.
const ABSENT = ['mirror', 'sources', 'republish', 'subject_transform', 'sealed', 'persist_mode'];

const isAbsent = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  value === '' ||
  value === 'default' ||
  (Array.isArray(value) && value.length === 0);

// Servers leave out what has its default.
const same = (wanted: unknown, found: unknown): boolean =>
  JSON.stringify(wanted) === JSON.stringify(found) ||
  (found === undefined && (wanted === false || wanted === 0 || wanted === -1));

// Each server of an old version tells the time at which it made its own copy.
const COPIES_APART_MS = 100;

/** Whether a stream was made at another time than the one that is known. */
export function isAnother(created: string, createdBefore: string): boolean {
  return Math.abs(Date.parse(created) - Date.parse(createdBefore)) > COPIES_APART_MS;
}

/** Why this stream is not used, and what to do, in a sentence; undefined: it is as it must be. */
export function whyRefused(
  { config, created }: StreamInfo,
  choice: StreamChoice,
  createdBefore?: string,
): string | undefined {
  const name = streamName(choice);
  const found = config as StreamConfig & Record<string, unknown>;
  const logId = logIdIn(found);
  if (logId === undefined)
    return `stream ${name} was not made by ThrustMQ (its description is "${found.description ?? ''}"): give the cluster another name, or remove the stream if nobody needs it`;
  const wanted = streamConfig(choice, logId);
  if (createdBefore !== undefined && isAnother(created, createdBefore))
    return `stream ${name} was made anew at ${created}; this node knows the one of ${createdBefore}: bring back that stream, or restore the cluster from a node's log (thrustmq cluster restore)`;
  if (found.max_bytes !== wanted.max_bytes)
    return `stream ${name} may hold ${found.max_bytes} bytes, --cluster-max-bytes says ${wanted.max_bytes}: give all nodes the same, or change the stream (nats stream edit ${name} --max-bytes)`;
  if (found.num_replicas !== wanted.num_replicas)
    return `stream ${name} has ${found.num_replicas} replicas, not ${wanted.num_replicas}: change it (nats stream edit ${name} --replicas ${wanted.num_replicas})`;
  const differing = Object.entries(wanted)
    .filter(([key, value]) => !same(value, found[key]))
    .map(([key, value]) => `${key} is ${JSON.stringify(found[key])}, not ${JSON.stringify(value)}`);
  const surplus = ABSENT.filter((key) => !isAbsent(found[key])).map(
    (key) => `${key} is ${JSON.stringify(found[key])}, which it must not have`,
  );
  const all = [...differing, ...surplus];
  if (all.length === 0) return undefined;
  return `stream ${name} has other settings than ThrustMQ made it with: ${all.join('; ')}: set them back (nats stream edit ${name})`;
}
