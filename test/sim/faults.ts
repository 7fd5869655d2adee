// The faults of the simulated world by name, and the count of how often each one struck.

/** What each kind does, and what must hold all the same. */
export const FAULTS = {
  crash: 'power is lost: what no sync made durable is kept or lost, each piece by itself',
  tear: 'power is lost in the middle of a page: some of its sectors are new, the others old',
  kill: 'the process dies, the system lives on',
  nested: 'the process or the power goes while the log is being recovered',
  reorder: 'a call on the disk ends before another one that was made earlier',
  write: 'a write into the log fails (EIO)',
  sync: 'a sync of the log or of its folder fails (EIO)',
  read: 'a read of the log fails (EIO)',
  rename: 'a file of the log is not renamed, removed or opened (EIO)',
  index: 'any call on the folder of indexes fails (EIO)',
  short: 'a write moves fewer bytes than it was given',
  full: 'the disk is full for a while',
  flip: 'a bit of an index or a checkpoint changes',
  damage: 'a bit of a durable part of the log changes',
  taken: 'a file of the log is moved away under the broker, and put back when it has ended',
  split: 'what a peer sends arrives in pieces',
  slow: 'a peer does not read what it is sent for a while',
  reset: 'a connection breaks',
  halfopen: 'a peer vanishes without a word and is found out late',
} as const;

export type FaultKind = keyof typeof FAULTS;

export const FAULT_KINDS = Object.keys(FAULTS) as FaultKind[];

/** Counts by name. */
export class Tally {
  readonly counts: Record<string, number> = {};

  add(name: string, by = 1): void {
    this.counts[name] = (this.counts[name] ?? 0) + by;
  }

  get(name: string): number {
    return this.counts[name] ?? 0;
  }

  addAll(other: Tally): void {
    for (const [name, count] of Object.entries(other.counts)) this.add(name, count);
  }
}
