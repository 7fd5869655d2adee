// Buckets that operators pause and resume while the broker runs. A change is in force at once, and
// answered when it is durable: a pause is a message of its own (segments/settings.ts), and who
// resumes settles it with a mark, which a full disk takes, too. Changes of one bucket go one after
// the other, those of others together.
//
//   asked, in force ──its turn──► packed ──durable──► answered
//                       └─ refused: as it was before

import { KIND_LIVE, KIND_SETTINGS } from '../../assembly/layout-placed.ts';
import type { Outcome, Refusal } from '../contract/commands.ts';
import type { Batch } from './commit/batch.ts';
import { storeAnywhere } from './commit/storing.ts';
import { PAUSED_MAX, type PauseChange, type Paused } from './delivery/paused.ts';
import { type Earlier, EarlierPauses } from './earlier-pauses.ts';
import { NO_HEAD } from './records/placed.ts';
import type { ChangingParts } from './rule-changes.ts';
import { pauseText, type Settings, settleSetting } from './segments/settings.ts';
import { wordsOf } from './text/ids.ts';

/** What of the broker changes go through. */
export interface PausingParts extends ChangingParts {
  readonly paused: Paused;
  dispatch(slot: number): void;
  onBatch(observe: (batch: Batch) => void): void;
}

interface PausingOptions {
  /** What was set while brokers ran. */
  settings: Settings;
  wallMs: () => number;
}

type Done = (outcome: Outcome) => void;

interface Asked {
  readonly change: PauseChange;
  /** Whether it is another state than the one before. */
  readonly isNew: boolean;
  readonly done: Done;
}

/** On its way to the disk: as a message, or, where a bucket is resumed, as marks up to a place. */
interface Packed {
  readonly asked: Asked;
  readonly mark?: number;
}

export class PauseChanges {
  readonly #parts: PausingParts;
  readonly #settings: Settings;
  readonly #wallMs: () => number;
  // By bucket; whose turn it is, is the first of them.
  readonly #asked = new Map<string, Asked[]>();
  readonly #turns: Asked[] = [];
  #packed: Packed[] = [];
  #earlier: EarlierPauses | undefined;

  constructor(parts: PausingParts, { settings, wallMs }: PausingOptions) {
    this.#parts = parts;
    this.#settings = settings;
    this.#wallMs = wallMs;
    parts.paused.restore(settings.paused);
    parts.onBatch((batch) => {
      if (this.#packed.length > 0) this.#durable(batch);
      this.goOn();
    });
  }

  /** Pauses a bucket, or resumes it, at once; `done` is called once, when that is durable. */
  ask(id: string, wanted: boolean, done: Done): void {
    const { paused } = this.#parts;
    const isNew = paused.has(id) !== wanted;
    if (wanted && isNew && paused.count >= PAUSED_MAX) {
      done(refusal('too-many', `${PAUSED_MAX} buckets are paused: resume one first`));
      return;
    }
    const asked = { change: paused.set(id, wanted), isNew, done };
    const others = this.#asked.get(id);
    if (others === undefined) {
      this.#asked.set(id, [asked]);
      this.#turns.push(asked);
    } else others.push(asked);
    this.#dispatch(id);
    this.goOn();
  }

  /** Takes over the pauses that a file of an earlier version says: they are in force at once. */
  takeOver(earlier: Earlier): void {
    this.#parts.paused.restore(earlier.ids);
    this.#earlier = new EarlierPauses(earlier, {
      notices: this.#parts.notices,
      isDurable: (id) => this.#settings.pausesOf(id).length > 0,
      store: (id) => this.#store(id) === 'stored',
      done: () => {
        this.#earlier = undefined;
      },
    });
    this.goOn();
  }

  /** Goes on, as far as there is room. */
  goOn(): void {
    for (let asked = this.#turns[0]; asked !== undefined; asked = this.#turns[0]) {
      const outcome = this.#carryOut(asked.change);
      if (outcome === 'wait') break;
      this.#turns.shift();
      if (outcome !== undefined && 'ok' in outcome) this.#finish(asked, outcome);
      else this.#packed.push({ ...outcome, asked });
    }
    if (this.#earlier !== undefined && !this.#parts.closing) this.#earlier.goOn();
  }

  // Undefined: it is packed, as a message.
  #carryOut({ id, paused }: PauseChange): Outcome | { mark: number } | 'wait' | undefined {
    const { closing, commit } = this.#parts;
    const ok: Outcome = { ok: true, result: { id, paused } };
    if (closing) return refusal('stopping', 'the broker is stopping: ask when it has started');
    const pauses = this.#settings.pausesOf(id);
    if (this.#earlier?.has(id)) {
      if (paused) return ok;
      const why = this.#earlier.hold();
      return refusal('conflict', `${failed(id, paused)}: ${why}. Nothing has changed`);
    }
    if (paused === pauses.length > 0) return ok;
    if (!paused) {
      for (const sequence of pauses) commit.settle(sequence, 1);
      this.#parts.flushSoon();
      return { mark: commit.settledMarks };
    }
    const stored = this.#store(id);
    if (stored === 'stored') return undefined;
    if (stored === 'wait') return stored;
    const text = `${failed(id, paused)}: the disk is full, and a pause has to be written; buckets can be resumed. Nothing has changed`;
    return refusal('no-space', text);
  }

  #store(id: string): ReturnType<typeof storeAnywhere> {
    const { codec, commit } = this.#parts;
    const [low, high] = wordsOf(id);
    const head = { ...NO_HEAD, publishedMs: this.#wallMs() };
    const message = { low, high, kind: KIND_SETTINGS, head, settles: false, text: pauseText(id) };
    const stored = storeAnywhere(commit, codec, message);
    if (stored === 'stored') this.#parts.flushSoon();
    return stored;
  }

  // A message counts by itself, marks do here.
  #durable({ settledMarks }: Batch): void {
    const { buckets, retention } = this.#parts;
    const settings = this.#settings;
    const packed = this.#packed;
    this.#packed = [];
    for (const each of packed) {
      const { asked, mark } = each;
      const { id, paused } = asked.change;
      if (mark !== undefined && settledMarks >= mark)
        for (const sequence of settings.pausesOf(id))
          settleSetting({ buckets, retention, settings }, sequence);
      if (settings.pausesOf(id).length > 0 !== paused) this.#packed.push(each);
      else this.#finish(asked, { ok: true, result: { id, paused } });
    }
  }

  #finish({ change, isNew, done }: Asked, outcome: Outcome): void {
    const { id, paused } = change;
    this.#parts.paused.settle(change, outcome.ok);
    const others = this.#asked.get(id)!;
    others.shift();
    if (others.length > 0) this.#turns.push(others[0]!);
    else this.#asked.delete(id);
    if (outcome.ok && isNew) {
      const text = `deliveries from bucket ${id} ${paused ? 'are paused' : 'go on'}`;
      const kind = paused ? 'admin.pause' : 'admin.resume';
      this.#parts.notices.notice('info', kind, text, { bucket: id });
    }
    done(outcome);
    this.#dispatch(id);
  }

  #dispatch(id: string): void {
    const [low, high] = wordsOf(id);
    const slot = this.#parts.buckets.find(low, high, KIND_LIVE);
    if (slot !== 0) this.#parts.dispatch(slot);
  }
}

function failed(id: string, paused: boolean): string {
  return `bucket ${id} cannot be ${paused ? 'paused' : 'resumed'}`;
}

function refusal(code: Refusal['code'], detail: string): Refusal {
  return { ok: false, code, detail };
}
