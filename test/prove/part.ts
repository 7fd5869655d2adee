// What the parts of the proof have in common: numbered cases that a seed decides, so that a failing
// one can be run again by itself.

/** Counts of one part, by name, in the order in which they are first counted. */
export type Counts = Record<string, number>;

export interface CaseOptions {
  seed: number;
  /** Which case; it means the same with the same seed. */
  index: number;
  /** `performance.now()` after which a case that takes long may end early. */
  untilMs: number;
}

export interface Part {
  readonly name: string;
  /** Cases there are; Infinity: as many as wanted, until the budget is spent or the counts of
   * `--full` are reached. Known after the first one at the latest. */
  readonly cases: number;
  /** Cases that `--full` wants where there is no end of them, whatever is counted. */
  readonly least?: number;
  /** What it counts. */
  readonly counts: Counts;
  /** What cannot run here, and why. */
  readonly skipped: string[];
  /** What was measured, for people. */
  readonly notes?: string[];
  /** Runs one case. Rejects with what is wrong. */
  run(options: CaseOptions): Promise<void>;
  /** The first case from `index` on that is not known to be empty. */
  next?(index: number): number;
  /** Ends what it started. */
  close(): Promise<void>;
}

/** Counts that a part must reach. */
export type Targets = Readonly<Record<string, number>>;

/** What the parts are told before they begin. */
export interface PartOptions {
  /** Until this share of the full counts is reached; undefined: until the time is up. */
  full: number | undefined;
  /** Of runs with real processes: each once, with so many points, however long that takes. */
  rounds?: number | undefined;
  /** Only those whose name contains this. */
  named?: string | undefined;
}

/** Share of the budget, what `--full` asks for beside all cases, and how the part is made. */
export interface PartPlan {
  weight: number;
  full?: Targets;
  make: (options: PartOptions) => Part | Promise<Part>;
}

export function count(counts: Counts, name: string, by = 1): void {
  counts[name] = (counts[name] ?? 0) + by;
}

/**
 * Where case `index` of `cases` is in a seeded order that visits each once: neighbours are far from
 * each other, so that a short run sees something of everything.
 */
export function spread(index: number, cases: number, seed: number): number {
  let step = Math.max(1, Math.floor(cases * 0.6180339887) + (seed % 97));
  while (gcd(step, cases) !== 1) step++;
  return Number((BigInt(index) * BigInt(step) + BigInt(seed)) % BigInt(cases));
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
