// The nodes of the cluster as the owner has heard of them: how each is, and when it said so.

import type { NodeStatus } from '../../contract/cluster.ts';
import type { SeenNode } from '../../contract/orders.ts';
import type { Notice } from './node-listener.ts';
import { NODES_MAX } from './order-shapes.ts';

/** A node that says nothing for so long is forgotten. */
const FORGET_MS = 60 * 60 * 1000;
/** Processes that had a node's number before, by which two at once are told from one restarted. */
const EARLIER_MAX = 4;

interface Heard {
  status: NodeStatus;
  atMs: number;
  process: string;
  earlier: string[];
}

/** Nodes by number. Times are monotonic, in ms. */
export class Nodes {
  readonly #notice: Notice;
  // In the order in which they were heard.
  readonly #heard = new Map<number, Heard>();

  constructor(notice: Notice) {
    this.#notice = notice;
  }

  /** A node says how it is. */
  heard(status: NodeStatus, nowMs: number): void {
    const { node, address, startedAt } = status;
    const process = `${address}, started ${startedAt}`;
    const before = this.#heard.get(node);
    let earlier = before?.earlier ?? [];
    if (before !== undefined && before.process !== process) {
      // Once is a restart; who comes back had never gone.
      if (earlier.includes(process)) this.#twice(node, before.process, process);
      earlier = [...earlier.filter((one) => one !== process), before.process].slice(-EARLIER_MAX);
    }
    this.#heard.delete(node);
    this.#heard.set(node, { status, atMs: nowMs, process, earlier });
    this.#forget(nowMs);
  }

  /** What the owner before had heard: a node that is lost with it, or was before, stays known. */
  told(nodes: readonly SeenNode[], nowMs: number): void {
    for (const { seenMs, ...status } of nodes) {
      const before = this.#heard.get(status.node);
      const atMs = nowMs - seenMs;
      if (before !== undefined && before.atMs >= atMs) continue;
      const process = `${status.address}, started ${status.startedAt}`;
      this.#heard.set(status.node, { status, atMs, process, earlier: before?.earlier ?? [] });
    }
    const inOrder = [...this.#heard].sort(([, one], [, other]) => one.atMs - other.atMs);
    this.#heard.clear();
    for (const [node, heard] of inOrder) this.#heard.set(node, heard);
  }

  #twice(node: number, one: string, other: string): void {
    const text = `two nodes have the number ${node}: ${one}, and ${other}. Give one of them another (--cluster-node), and start it again`;
    this.#notice('warn', 'cluster.node-twice', text);
  }

  #forget(nowMs: number): void {
    for (const [node, { atMs }] of this.#heard) {
      if (nowMs - atMs < FORGET_MS && this.#heard.size <= NODES_MAX) return;
      this.#heard.delete(node);
    }
  }

  /** All, by number. */
  seen(nowMs: number): SeenNode[] {
    this.#forget(nowMs);
    return [...this.#heard.values()]
      .map(({ status, atMs }) => ({ ...status, seenMs: Math.round(nowMs - atMs) }))
      .sort((a, b) => a.node - b.node);
  }
}
