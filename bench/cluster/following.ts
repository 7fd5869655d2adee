// How far a node that follows is behind, as it says itself.

import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterSnapshot } from '../../src/contract/cluster.ts';

const LOOK_MS = 250;
const ASK_MS = 5000;

/** What the node behind this dashboard says of itself. */
export async function selfOf(dashboard: number): Promise<ClusterSnapshot['self']> {
  const url = `http://127.0.0.1:${dashboard}/api/v1/cluster`;
  const answer = await fetch(url, { signal: AbortSignal.timeout(ASK_MS) });
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
  return ((await answer.json()) as ClusterSnapshot).self;
}

/** Looks again and again until `stop`, which gives the longest lag that was seen, ms. */
export function watchLag(dashboards: readonly number[]): { stop(): Promise<number> } {
  let isOver = false;
  let most = 0;
  const watch = async (port: number): Promise<void> => {
    while (!isOver) {
      most = Math.max(most, (await selfOf(port)).lagMs);
      await sleep(LOOK_MS);
    }
  };
  const watching = Promise.all(dashboards.map(watch));
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
export async function caughtUp(dashboard: number, position: bigint): Promise<number> {
  const begun = performance.now();
  while (BigInt((await selfOf(dashboard)).position) < position) await sleep(LOOK_MS / 5);
  return performance.now() - begun;
}
