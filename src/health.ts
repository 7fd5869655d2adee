// Whether a broker is well, for whoever decides if it is to be restarted or sent traffic;
// and what is said of one that must stop.

import { type MemoryConfig, memoryText } from './config/memory.ts';
import { BEHIND_MS, type ClusterSnapshot } from './contract/cluster.ts';
import { LogError } from './log/files/errors.ts';

export interface Health {
  /** False: only a new start helps. */
  live: boolean;
  /** False: clients are better served elsewhere for now. */
  ready: boolean;
  checks: Record<string, { ok: boolean; detail: string }>;
}

/** What it is judged by. */
export interface Condition {
  /** How late the event loop is, in ms. */
  lateMs: number;
  /** Why the log gets no further segment, if it does not. */
  blocked: string | undefined;
  /** Why the log cannot be written any more. */
  failure: Error | undefined;
  memory: MemoryConfig;
  /** An orderly stop has begun. */
  closing: boolean;
}

export function healthOf({ lateMs, blocked, failure, memory, closing }: Condition): Health {
  const checks = {
    eventLoop: { ok: lateMs < 1000, detail: `${Math.round(lateMs)} ms late` },
    log: { ok: failure === undefined, detail: failure?.message ?? 'writable' },
    disk: { ok: blocked === undefined, detail: blocked ?? 'next segment ready or being made' },
    // No reason to send nobody here: it may never need all of its budget.
    memory: { ok: true, detail: memoryText(memory) },
  };
  const ready = !closing && Object.values(checks).every(({ ok }) => ok);
  return { live: checks.eventLoop.ok && checks.log.ok, ready, checks };
}

/**
 * What a node of a cluster adds to that, whoever owns the log: it is ready while its clients are
 * served through it, so as an owner that delivers, and as a follower that is less than 5 s behind.
 */
export function clusterHealth(cluster: ClusterSnapshot): Health {
  const { self, ack, stream } = cluster;
  const { leader, connected } = stream;
  const reached = leader === null ? 'no server leads the stream' : `${leader} leads the stream`;
  const checks = {
    cluster: { ok: isServing(cluster), detail: roleText(cluster) },
    stream: { ok: connected, detail: connected ? reached : 'no server of NATS is reached' },
    // What was accepted at the start keeps nobody away, and is to be seen all the same.
    acks: { ok: true, detail: [ack.means, ...ack.warnings].join('; ') },
  };
  const ready = checks.cluster.ok && checks.stream.ok;
  return { live: self.state !== 'stopped', ready, checks };
}

function isServing({ self }: ClusterSnapshot): boolean {
  switch (self.state) {
    case 'owning':
    case 'doubting':
      return true;
    case 'following':
    case 'campaigning':
      return self.building === null && self.lagMs < BEHIND_MS;
    default:
      return false;
  }
}

/** What a node is about, and how far it is, as people say it. */
export function roleText({ self, owner }: ClusterSnapshot): string {
  const whose = owner === null ? 'no node that owns the log' : `node ${owner.node}, the owner`;
  const behind = `${self.lag} messages behind, ${Math.round(self.lagMs)} ms`;
  const { building } = self;
  if (building !== null)
    return `node ${self.node} builds itself from the other nodes, ${building.bytes} of ${building.bytesTotal} bytes`;
  switch (self.state) {
    case 'owning':
      return `node ${self.node} owns the log, epoch ${self.epoch}`;
    case 'doubting':
      return `node ${self.node} owns the log and waits for the stream: appends are in doubt`;
    case 'suspended':
      return `node ${self.node} owned the log and delivers nothing: the stream has confirmed nothing for too long`;
    case 'following':
      return `node ${self.node} follows ${whose}: ${behind}`;
    case 'campaigning':
      return `node ${self.node} tries to own the log: ${behind}`;
    case 'joining':
      return `node ${self.node} reads the stream: ${behind}`;
    case 'resigning':
      return `node ${self.node} hands the log over`;
    case 'deposed':
      return `node ${self.node} owned the log, another one does now: it begins to follow`;
    case 'stopped':
      return `node ${self.node} has stopped: its log says why`;
  }
}

/** What is said when the log failed: what is certain now, and what to do. */
export function failureText(failure: Error): string {
  if (!(failure instanceof LogError) || failure.code !== 'lost')
    return `the log could not be written: ${failure.message}. No further message was acked. The broker stops; start it again to recover from what is on the disk`;
  return `${failure.message}. What the broker writes would not be found by the next start, so nothing is acked any more and the broker stops. Unmount what hides it, or put back what was moved away, or restore a copy; find out what else uses that folder; then start it again`;
}
