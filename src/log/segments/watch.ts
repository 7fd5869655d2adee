// Whether what is written can be found again: the data folder, the folder of the log and the
// segments are open, and go on taking writes and syncs when somebody has deleted or replaced them,
// or mounted something over them. A look follows their names. No ack leaves on the strength of one
// that is older than TRUST_MS.
//
//   a name leads        what it means
//   to it               all is well
//   nowhere             deleted, or moved away: the next start would not find it. The log ends here
//   elsewhere           replaced, or something was mounted over it: likewise
//   (not to be told)    no verdict: whether acks are true is up to the syncs
//
// The folders, the open segment and the next one are followed in each look. Of the complete ones a
// few are, in turns, and many when a name in the folder has changed; one whose name is not in the
// folder any more is noticed at once.

import type { Failure } from '../../core/ports/basics.ts';
import { LogError } from '../files/errors.ts';
import type { Files, Leads } from '../files/files.ts';
import { segmentName } from './segment.ts';
import type { Segment, Segments } from './segments.ts';

/** Something beside the log that must stay where it is. */
export interface Place {
  /** For people: `the data folder /var/lib/mq`. */
  readonly name: string;
  follow(done: (failure: Failure, leads: Leads) => void): void;
}

export interface WatchOptions {
  files: Files;
  /** Outermost first. */
  places: readonly Place[];
  segments: Segments;
  /** Whether a segment is taking another one's name at this moment. */
  renaming: () => boolean;
  /** Monotonic ms. */
  now: () => number;
  /** Called once, when something is not where it was. */
  lost: (failure: LogError) => void;
}

/** Age of a look, in ms from its beginning, up to which acks rely on it. */
export const TRUST_MS = 1000;
// Complete segments that a look follows, usually and after a change in the folder.
const FEW = 4;
const MANY = 64;
// Time for them, in ms: where a look takes too long, acks wait for the next one.
const SOME_MS = 200;
// Times that something must be missing, one right after the other.
const ROUNDS = 3;

interface Waiting {
  /** The look must not have begun before. */
  sinceMs: number;
  done: (failure: Failure) => void;
}

export class Watch {
  readonly #options: WatchOptions;
  // When the last look began that found all in place, or the first one; undefined: there was none.
  #seenMs: number | undefined;
  #looking = false;
  #ended = false;
  #failure: LogError | undefined;
  #waiting: Waiting[] = [];
  // Complete segments before this position had their turn.
  #turn = 0;
  // How many are still to be followed after a change in the folder.
  #changed = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** Begins a look unless one is under way. The first one begins the watch. */
  look(): void {
    if (!this.#looking && !this.#ended && this.#failure === undefined) void this.#look();
  }

  /** Calls back when a look that begins from now on has ended, with what is lost. */
  ask(done: (failure: Failure) => void): void {
    this.#wait(this.#options.now(), done);
  }

  /** Calls back when acks may leave: now, as a rule, or with what is lost. */
  confirm(done: (failure: Failure) => void): void {
    const trusted = this.#options.now() - TRUST_MS;
    if (this.#failure !== undefined) done(this.#failure);
    else if (this.#seenMs === undefined || this.#seenMs >= trusted) done(undefined);
    else this.#wait(trusted, done);
  }

  /** No look finds anything any more; whoever waits is told that all is well. */
  end(): void {
    this.#ended = true;
    for (const { done } of this.#waiting.splice(0)) done(this.#failure);
  }

  #wait(sinceMs: number, done: (failure: Failure) => void): void {
    if (this.#failure !== undefined || this.#ended) {
      done(this.#failure);
      return;
    }
    this.#waiting.push({ sinceMs, done });
    this.look();
  }

  async #look(): Promise<void> {
    const begunMs = this.#options.now();
    this.#looking = true;
    this.#seenMs ??= begunMs;
    const failure = await this.#find();
    this.#looking = false;
    if (this.#ended) return;
    if (failure !== undefined) {
      this.#failure = failure;
      this.#options.lost(failure);
    } else this.#seenMs = begunMs;
    const served = this.#waiting.filter(
      ({ sinceMs }) => failure !== undefined || sinceMs <= begunMs,
    );
    this.#waiting = this.#waiting.filter((waiting) => !served.includes(waiting));
    for (const { done } of served) done(failure);
    if (this.#waiting.length > 0) this.look();
  }

  // What others do with names takes more than one step, and a renamed data folder is found by its
  // new path only from the next time on: what is lost is so in each of several rounds.
  async #find(): Promise<LogError | undefined> {
    const suspects = new Set<Segment>();
    let failure: LogError | undefined;
    for (let round = 0; round < ROUNDS; round++) {
      failure = await this.#round(suspects);
      if (failure === undefined) break;
    }
    return failure;
  }

  async #round(suspects: Set<Segment>): Promise<LogError | undefined> {
    const { places, files } = this.#options;
    for (const place of places) {
      const leads = await followed((done) => place.follow(done));
      if (leads !== 'to it') return lostError(place.name, leads);
    }
    let names: string[] | undefined;
    const leads = await followed((done) =>
      files.followDirectory((failure, at, found) => {
        names = found;
        done(failure, at);
      }),
    );
    if (leads !== 'to it') return lostError('the folder of the log', leads);
    for (const segment of new Set([...suspects, ...this.#due(names)])) {
      const failure = await this.#follow(segment, suspects);
      if (failure !== undefined) return failure;
    }
    return this.#followSome(suspects);
  }

  // The segments that each look follows, and those whose names are not there.
  #due(names: string[] | undefined): Set<Segment> {
    const { segments, renaming } = this.#options;
    const { list, open, next } = segments;
    const due = new Set([open]);
    if (next !== undefined) due.add(next);
    if (renaming() || names === undefined) return due;
    this.#changed = list.length;
    const there = new Set(names);
    for (const segment of list) if (!there.has(segmentName(segment.base))) due.add(segment);
    return due;
  }

  // The complete segments whose turn it is, at least one and as many as there is time for.
  async #followSome(suspects: Set<Segment>): Promise<LogError | undefined> {
    const { segments, renaming, now } = this.#options;
    const begunMs = now();
    const most = Math.min(segments.list.length, this.#changed > 0 ? MANY : FEW);
    for (let i = 0; i < most && !renaming(); i++) {
      if (i > 0 && now() - begunMs > SOME_MS) break;
      const segment = segments.covering(this.#turn) ?? segments.list[0]!;
      this.#turn = segment.end;
      this.#changed = Math.max(0, this.#changed - 1);
      const failure = await this.#follow(segment, suspects);
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  // Of one that was given back, or compacted, meanwhile nothing is expected any more.
  async #follow(segment: Segment, suspects: Set<Segment>): Promise<LogError | undefined> {
    const { files, segments, renaming } = this.#options;
    const name = segmentName(segment.base);
    const leads = await followed((done) => {
      if (this.#ended || segment.retired) done(undefined, 'to it');
      else files.follow(name, segment.handle, done);
    });
    if (leads === 'to it' || this.#ended) return undefined;
    const isExpected = segments.next === segment || segments.list.includes(segment);
    if (!isExpected || (segment !== segments.open && renaming())) return undefined;
    suspects.add(segment);
    return lostError(`the file ${name} of the log`, leads);
  }
}

// What cannot be found out is no verdict.
function followed(follow: (done: (failure: Failure, leads: Leads) => void) => void) {
  return new Promise<Leads>((resolve) =>
    follow((failure, leads) => resolve(failure === undefined ? leads : 'to it')),
  );
}

function lostError(name: string, leads: Leads): LogError {
  const what =
    leads === 'nowhere'
      ? 'is not there any more: it was deleted or moved away'
      : 'is another one now: it was replaced, or something was mounted over it';
  return new LogError('lost', `${name} ${what}`);
}
