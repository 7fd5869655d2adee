// What a node says of the cluster when it is asked: itself, the stream as it was when last looked
// at, and how far it is behind that.

import { statfs } from 'node:fs';
import type { ClusterSnapshot, NodeStatus } from '../contract/cluster.ts';
import type { SeenNode } from '../contract/orders.ts';
import { Lag } from '../core/cluster/lag.ts';
import type { StreamState } from '../core/ports/stream.ts';
import { isForbidden } from '../io/cluster/append-outcome.ts';
import type { JetStreamLink } from '../io/cluster/jetstream.ts';
import type { ServerOptions } from '../server.ts';
import type { Member } from './member.ts';
import type { NodePorts } from './ports.ts';

export interface ViewOptions {
  options: Pick<ServerOptions, 'config' | 'version'>;
  link: JetStreamLink;
  member: Member;
  ports: NodePorts;
  dataDir: () => string;
}

export class View {
  readonly #options: ViewOptions;
  readonly #startedAt = new Date().toISOString();
  #stream: StreamState | undefined;
  readonly #lag = new Lag();
  #diskFreeBytes: number | null = null;
  /** Grows with what is new in it. */
  changes = 0;

  constructor(options: ViewOptions) {
    this.#options = options;
  }

  /** Looks at stream and disk; about once a second. */
  look(): void {
    const { link, member, dataDir } = this.#options;
    link.state((failure, state) => {
      const isLacking = failure !== undefined && isForbidden(failure);
      member.notes.rights('look at', isLacking ? failure.message : undefined);
      if (failure !== undefined || state === undefined) return;
      if (state.last !== this.#stream?.last) this.changes++;
      this.#stream = state;
      this.#lag.saw(state.last, performance.now());
    });
    statfs(dataDir(), (failure, stats) => {
      this.#diskFreeBytes = failure === null ? stats.bavail * stats.bsize : null;
    });
  }

  snapshot(): ClusterSnapshot {
    const { link, member, ports, options } = this.#options;
    const { cluster } = options.config;
    const { owner, owners, notes } = member;
    const { safe, means, warnings, problems } = link.verdict;
    const stream = this.#stream;
    const self = this.status();
    return {
      name: cluster!.name,
      self,
      owner:
        owner === undefined
          ? null
          : { node: owner.node, address: owner.address, dashboard: owner.dashboard },
      nodes: this.#nodes(self),
      ack: { safe, means, warnings: [...problems.map(({ text }) => text), ...warnings] },
      stream: {
        name: link.name,
        connected: link.connected(),
        leader: stream?.leader ?? null,
        first: stream?.first ?? 0,
        last: stream?.last ?? 0,
        bytes: stream?.bytes ?? 0,
        maxBytes: cluster!.stream.maxBytes,
        blocked: member.blocked ?? null,
      },
      counts: {
        ...notes.counts,
        takeOvers: owners.count,
        voids: member.ownership.voids,
        baseBytes: member.bases.putBytes,
      },
      takeOvers: [...owners.takeOvers],
      appends: member.appends,
      passedOn: { clients: ports.splicer.open, bytes: ports.splicer.heldBytes },
      resources: this.#resources(),
    };
  }

  // As the owner has heard of them; this one is known here.
  #nodes(self: NodeStatus): SeenNode[] {
    const others = this.#options.ports.nodes().filter(({ node }) => node !== self.node);
    return [...others, { ...self, seenMs: 0 }].sort((a, b) => a.node - b.node);
  }

  #resources(): ClusterSnapshot['resources'] {
    const { member, options } = this.#options;
    const { rss, heapUsed } = process.memoryUsage();
    return {
      rssBytes: rss,
      heapBytes: heapUsed,
      budgetBytes: options.config.memory.budgetBytes,
      logBytes: member.local.follower.log.diskBytes,
      diskFreeBytes: this.#diskFreeBytes,
    };
  }

  /** What this node tells the others of itself. */
  status(): NodeStatus {
    const { member, options } = this.#options;
    const { ownership, local, identity } = member;
    return {
      node: identity.node,
      address: identity.address,
      dashboard: identity.dashboard,
      version: options.version,
      startedAt: this.#startedAt,
      state: ownership.state,
      epoch: ownership.epoch,
      position: String(local.end),
      sequence: ownership.sequence,
      lag: Math.max(0, (this.#stream?.last ?? 0) - ownership.sequence),
      lagMs: Math.round(this.#lag.ms(ownership.sequence, performance.now())),
      blocked: local.follower.log.blocked() ?? null,
      building: member.bases.building,
    };
  }
}
