// A whole cluster for fault tests: three servers of NATS, the nodes over them, and what the
// monitors of NATS tell of where the stream is led.

import { setTimeout as sleep } from 'node:timers/promises';
import { connectStream } from '../../src/io/cluster/jetstream.ts';
import type { Random } from '../support/random.ts';
import { Load, type LoadOptions } from './load.ts';
import { NatsCluster, type Place, type ServerProgram } from './nats.ts';
import { CLUSTER, Nodes, STREAM_BYTES } from './nodes.ts';
import { optionsFor } from './stream-options.ts';

export interface RigOptions {
  /** Further flags of every node. */
  flags?: readonly string[];
  places?: readonly Place[];
  /** Further lines of every server's configuration. */
  config?: string;
}

/** Of the stream, as one server tells it. */
interface StreamDetail {
  name: string;
  state?: { last_seq?: number };
  cluster?: { leader?: string; replicas?: { current?: boolean; offline?: boolean }[] };
}

interface Jsz {
  account_details?: { stream_detail?: StreamDetail[] }[];
}

const STREAM = `TMQ_${CLUSTER}_0`;
// Nothing tells when NATS has elected.
const LOOK_MS = 50;
const ASK_MS = 1000;

export class Rig implements AsyncDisposable {
  readonly nats: NatsCluster;
  readonly nodes: Nodes;

  constructor(nats: NatsCluster, nodes: Nodes) {
    this.nats = nats;
    this.nodes = nodes;
  }

  /** Settles when one of the nodes owns. */
  static async start(program: ServerProgram, options: RigOptions = {}): Promise<Rig> {
    const { config, ...others } = options;
    const { places } = others;
    const nats = await NatsCluster.start(program, {
      ...(places && { places }),
      ...(config !== undefined && { config }),
    });
    try {
      const rig = new Rig(nats, await Nodes.start({ nats, ...others }));
      await rig.nodes.owner();
      return rig;
    } catch (error) {
      await nats[Symbol.asyncDispose]();
      throw error;
    }
  }

  load(random: Random, options: Partial<LoadOptions> = {}): Load {
    const { intake, exhaust } = this.nodes;
    return new Load({ intake, exhaust, random, ...options });
  }

  /** Number of the server that leads the stream, once one does; `not`: another one. */
  leader(not?: number): Promise<number> {
    return this.#told(({ cluster }) => {
      const leader = cluster?.leader ? NatsCluster.numberOf(cluster.leader) : undefined;
      return leader === not ? undefined : leader;
    });
  }

  /** Brings the stream's leader to a server. Old ones choose by themselves, the same one again at
   * times: asked until it fits. */
  async moveLeader(to: number): Promise<void> {
    const options = optionsFor(this.nats, { cluster: CLUSTER, maxBytes: STREAM_BYTES });
    const link = await connectStream(options);
    try {
      for (let at = await this.leader(); at !== to; at = await this.leader()) {
        const isTaken = await link.stepDownLeader(`n${to}`).catch(() => false);
        if (!isTaken) await link.stepDownLeader().catch(() => false);
        await this.whole();
      }
    } finally {
      await link.close();
    }
  }

  /** Resolves once the stream has a leader that has two others beside it, both up to date. */
  async whole(): Promise<void> {
    await this.#told(({ cluster }) => {
      const { leader, replicas = [] } = cluster ?? {};
      const current = replicas.filter((each) => each.current === true && each.offline !== true);
      return leader && current.length === 2 ? true : undefined;
    });
  }

  /** A node that is not the owner. */
  async follower(random: Random): Promise<number> {
    const owner = await this.nodes.owner();
    const others = this.nodes.running.filter((each) => each !== owner.node);
    return others[random.below(others.length)]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.nodes[Symbol.asyncDispose]();
    await this.nats[Symbol.asyncDispose]();
  }

  /** What a server says of the stream, once `look` finds what it looks for in it. */
  async #told<T>(look: (detail: StreamDetail) => T | undefined): Promise<T> {
    for (;;) {
      for (const detail of await this.#details()) {
        const found = look(detail);
        if (found !== undefined) return found;
      }
      await sleep(LOOK_MS);
    }
  }

  /** What each server that answers knows of the stream, its leader's word first. */
  async #details(): Promise<StreamDetail[]> {
    const told = await Promise.all(
      this.nats.monitors.map(async (url, i) => {
        try {
          const signal = AbortSignal.timeout(ASK_MS);
          const answer = await fetch(`${url}/jsz?accounts=true&streams=true`, { signal });
          const { account_details: accounts = [] } = (await answer.json()) as Jsz;
          const streams = accounts.flatMap(({ stream_detail: detail = [] }) => detail);
          return streams.filter(({ name }) => name === STREAM).map((detail) => ({ i, detail }));
        } catch {
          return []; // it is stopped, killed or cut off
        }
      }),
    );
    // Only who leads knows of the others; the rest tell what they last heard.
    const leads = ({ i, detail }: { i: number; detail: StreamDetail }) =>
      detail.cluster?.leader === `n${i}`;
    const all = told.flat();
    return [...all.filter(leads)].map(({ detail }) => detail);
  }
}
