// How far nodes that follow are behind, as they tell the owner.

import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterSnapshot, NodeStatus } from '../../src/contract/cluster.ts';

const LOOK_MS = 250;
const ASK_MS = 5000;

/** What the nodes of a cluster say of themselves, by number; any dashboard knows it. */
export async function nodesOf(dashboard: number): Promise<Map<number, NodeStatus>> {
  const url = `http://127.0.0.1:${dashboard}/api/v1/cluster`;
  const answer = await fetch(url, { signal: AbortSignal.timeout(ASK_MS) });
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
  const { self, nodes } = (await answer.json()) as ClusterSnapshot;
  return new Map([...nodes, self].map((each) => [each.node, each]));
}

/** Log position of a node. */
export async function positionOf(dashboard: number, node: number): Promise<bigint> {
  return BigInt((await nodesOf(dashboard)).get(node)?.position ?? 0);
}

/** Looks again and again until `stop`, which gives the longest lag that was seen, ms. */
export function watchLag(dashboard: number): { stop(): Promise<number> } {
  let isOver = false;
  let most = 0;
  const watch = async (): Promise<void> => {
    while (!isOver) {
      for (const { lagMs } of (await nodesOf(dashboard)).values()) most = Math.max(most, lagMs);
      await sleep(LOOK_MS);
    }
  };
  const watching = watch();
  watching.catch(() => {});
  return {
    stop: async () => {
      isOver = true;
      await watching;
      return most;
    },
  };
}

/** Resolves when a node has everything up to a position of the log; ms that it took. */
export async function caughtUp(dashboard: number, node: number, position: bigint): Promise<number> {
  const begun = performance.now();
  while ((await positionOf(dashboard, node)) < position) await sleep(LOOK_MS);
  return performance.now() - begun;
}
