// What a node of a cluster says of the cluster, for status, page and metrics, and what follows from
// it for everybody alike. 64-bit numbers are decimal text, times are ISO 8601, UTC.

import type { Distribution } from './snapshot.ts';

/** What a node is about; only who is owning, doubting or suspended has a broker that serves. */
export const NODE_STATES = [
  'joining',
  'following',
  'campaigning',
  'owning',
  'doubting',
  'suspended',
  'resigning',
  'deposed',
  'stopped',
] as const;
export type NodeState = (typeof NODE_STATES)[number];

/** What a node tells of itself. */
export interface NodeStatus {
  node: number;
  /** Where other nodes reach it, as `host:port`. */
  address: string;
  /** Of its dashboard, as `host:port`; null: it has none. */
  dashboard: string | null;
  version: string;
  /** When its process started. */
  startedAt: string;
  state: NodeState;
  /** Of the owner that it knows of, which may be itself; 0: none yet. */
  epoch: number;
  /** Log position behind the last batch that is on its disk. */
  position: string;
  /** Number in the stream of the last message that it has heard. */
  sequence: number;
  /** Messages of the stream that it knows of and has not heard, and how long ago the oldest of them
   * was seen to be there, in ms: under load a few are always on their way. */
  lag: number;
  lagMs: number;
  /** Why it could not own the log now, or has no room for more (a full disk, …); null: nothing. */
  blocked: string | null;
  /** While it builds itself from the other nodes: how far that is. Null: it does not. */
  building: { bytes: number; bytesTotal: number } | null;
}

/** Why another node became the owner: the one before was silent, or had resigned. */
export interface TakeOver {
  at: string;
  node: number;
  epoch: number;
  why: keyof typeof TAKEN_OVER;
}

/** The reasons in words. */
export const TAKEN_OVER = {
  silence: 'the owner before was silent',
  resigned: 'the owner before had stepped down, or stopped',
  first: 'there was no owner before',
} as const;

/** Time from an append to its confirmation by the stream, in ms, since the process started. */
export interface AppendTimes extends Distribution {
  /** How many took no longer than each bound of POWERS.ms. */
  upTo: number[];
}

/** Of the process that is asked; while it owns the log, its snapshot says the same. */
export interface NodeResources {
  rssBytes: number;
  heapBytes: number;
  /** --memory. */
  budgetBytes: number;
  /** Disk space of its copy of the log, and what its file system has left; null: not known. */
  logBytes: number;
  diskFreeBytes: number | null;
}

/** A step-down that has begun: who comes next shows in the snapshots that follow. */
export interface StepDown {
  of: 'owner' | 'leader';
  /** Number of the node, or name of the server of NATS, that gives up; null: not known. */
  from: string | null;
}

export interface ClusterSnapshot {
  name: string;
  /** The node that is asked. */
  self: NodeStatus;
  /** Null: it knows of none. */
  owner: { node: number; address: string; dashboard: string | null } | null;
  /** All that the owner has heard of, this one included; `seenMs`: how long ago. */
  nodes: (NodeStatus & { seenMs: number })[];
  /** What an ack means, in a sentence, and what is unsafe about the servers of the stream. */
  ack: { safe: boolean; means: string; warnings: string[] };
  stream: {
    name: string;
    connected: boolean;
    /** Server of NATS that leads it; null: none, or not known. */
    leader: string | null;
    first: number;
    last: number;
    bytes: number;
    maxBytes: number;
    /** Why messages find no room in it; null: they do. */
    blocked: string | null;
  };
  /** Since the process started. */
  counts: {
    /** Changes of the owner that this node has seen. */
    takeOvers: number;
    /** Times that this node gave up owning, its appends were in doubt, it delivered no more. */
    deposed: number;
    doubts: number;
    suspensions: number;
    /** Messages of the stream that do not count. */
    voids: number;
    /** Times that it built itself from the other nodes. */
    rebuilds: number;
    /** Bytes put into base objects. */
    baseBytes: number;
  };
  /** The newest first. */
  takeOvers: TakeOver[];
  /** Null where it does not own. */
  appends: AppendTimes | null;
  /** Clients of this node that the owner serves, and bytes on their way. */
  passedOn: { clients: number; bytes: number };
  resources: NodeResources;
}

/** A node that is further behind, or was not heard of for so long, is no help for now. */
export const BEHIND_MS = 5000;

const SERVING: readonly NodeState[] = ['owning', 'doubting', 'suspended', 'resigning'];

/** Whether it has the broker; it may hold its tongue meanwhile, as `suspended` does. */
export function owns({ state }: Pick<NodeStatus, 'state'>): boolean {
  return SERVING.includes(state);
}

/** What a node is about as far as that is known: of who is silent only that. */
export function stateText({ state, seenMs }: NodeStatus & { seenMs: number }): string {
  return seenMs >= BEHIND_MS ? 'silent' : state;
}

/** Why a node other than the owner would not take over now; undefined: it would. */
export function hindrance(node: NodeStatus & { seenMs?: number }): string | undefined {
  const { state, building, blocked, lag, lagMs, seenMs = 0 } = node;
  if (seenMs >= BEHIND_MS) return `not heard of for ${Math.round(seenMs / 1000)} s`;
  if (building !== null) return 'is building itself from the other nodes';
  if (state !== 'following' && state !== 'campaigning') return `is ${state}`;
  if (blocked !== null) return blocked;
  return lagMs >= BEHIND_MS ? `${lag} messages of the stream behind` : undefined;
}
