// How much of its time a broker spends in writing and syncing commits, from what its dashboard
// tells: near 1, the disk is the limit.

/** Commits since a broker's start. */
export interface Commits {
  atMs: number;
  /** Time in write and in fdatasync, ms; one commit is on its way at a time. */
  busyMs: number;
}

interface Summary {
  sum: number;
}

interface Snapshot {
  now: string;
  commits: { writeMs: Summary; syncMs: Summary };
}

/** Asks the dashboard on this port. Throws Error when it does not answer with a snapshot. */
export async function commitsOf(port: number): Promise<Commits> {
  const response = await fetch(`http://127.0.0.1:${port}/dash`, {
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`the dashboard answers ${response.status} instead of figures`);
  const { now, commits } = (await response.json()) as Snapshot;
  return { atMs: Date.parse(now), busyMs: commits.writeMs.sum + commits.syncMs.sum };
}

/**
 * The share (0 … 1) of the time between two snapshots in which a commit was on its way to the disk;
 * undefined if they are one, because the dashboard keeps an answer for a quarter of a second.
 */
export function shareBetween(from: Commits, to: Commits): number | undefined {
  if (to.atMs <= from.atMs) return undefined;
  return Math.min(1, (to.busyMs - from.busyMs) / (to.atMs - from.atMs));
}
