// What was set while a broker ran, as the log says it: messages of settings lines, each the text
// of one rule, or that one bucket is paused. The sequence of such a message is the version of its
// rule. They stand in no bucket's line; their segments hold them like others.

import { MESSAGE_SIZE_BYTES } from '../../../assembly/layout.ts';
import { HEAD_BYTES } from '../../../assembly/layout-placed.ts';
import { isId } from '../../contract/commands.ts';
import type { Buckets } from '../buckets/buckets.ts';
import type { Position } from '../ports/basics.ts';
import type { Retention } from './retention.ts';

// No rule is written like this: whoever knows none but rules refuses it, and takes it for none.
const PAUSED = 'paused bucket=';

/** What says that a bucket is paused. */
export function pauseText(id: string): string {
  return PAUSED + id;
}

// The bucket that a text says is paused; undefined: it says something else.
function pausedIn(text: string): string | undefined {
  if (!text.startsWith(PAUSED)) return undefined;
  const id = text.slice(PAUSED.length);
  return isId(id) ? id : undefined;
}

const NONE: readonly number[] = [];

export class Settings {
  readonly #texts = new Map<number, string>();
  /** Buckets by the sequence of the message that pauses them, and the other way round. */
  readonly #pauses = new Map<number, string>();
  readonly #paused = new Map<string, number[]>();
  /** Grows with each change of rules, by at least one. */
  changes = 0;

  get size(): number {
    return this.#texts.size + this.#pauses.size;
  }

  has(sequence: number): boolean {
    return this.#texts.has(sequence) || this.#pauses.has(sequence);
  }

  /** Texts of rules by the sequence of their message. */
  get texts(): ReadonlyMap<number, string> {
    return this.#texts;
  }

  /** Ids of buckets that are paused. */
  get paused(): Iterable<string> {
    return this.#paused.keys();
  }

  /**
   * Messages that say that a bucket is paused: one, or none. More where the mark about an older one
   * was lost, with a disk that was not synced or in a repair.
   */
  pausesOf(id: string): readonly number[] {
    return this.#paused.get(id) ?? NONE;
  }

  /** The messages of all that is set. */
  sequences(): number[] {
    return [...this.#texts.keys(), ...this.#pauses.keys()];
  }

  set(sequence: number, text: string): void {
    const id = pausedIn(text);
    if (id === undefined) {
      this.changes++;
      this.#texts.set(sequence, text);
    } else if (!this.#pauses.has(sequence)) {
      this.#pauses.set(sequence, id);
      this.#paused.set(id, [...this.pausesOf(id), sequence]);
    }
  }

  remove(sequence: number): void {
    if (this.#texts.delete(sequence)) this.changes++;
    const id = this.#pauses.get(sequence);
    if (id === undefined) return;
    this.#pauses.delete(sequence);
    const left = this.pausesOf(id).filter((each) => each !== sequence);
    if (left.length > 0) this.#paused.set(id, left);
    else this.#paused.delete(id);
  }
}

/** What the message of a settings line says, whose record has its body at offset `body`. */
export function settingText(view: DataView, body: number): string {
  const at = body + HEAD_BYTES;
  const length = view.getUint32(at, true);
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at + MESSAGE_SIZE_BYTES, length);
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** What settings are found and settled in. */
export interface SettingsState {
  buckets: Buckets<unknown>;
  retention: Retention;
  settings: Settings;
}

/** A setting is not in force any more: the mark that says so is durable. */
export function settleSetting({ buckets, retention, settings }: SettingsState, sequence: number) {
  retention.settleSequences(sequence, buckets.outcomes.settled.add(sequence, 1));
  settings.remove(sequence);
}

/** Segments of which no record was read that hold settings in force, and which these are. */
export function unreadSettings(
  { buckets, retention, settings }: SettingsState,
  next: number,
): Map<Position, Set<number>> {
  const { settings: all, settled } = buckets.outcomes;
  const unread = new Map<Position, Set<number>>();
  for (const [first, count] of all.runs(retention.oldestSequence, next))
    for (let sequence = first; sequence < first + count; sequence++) {
      if (settled.has(sequence) || settings.has(sequence)) continue;
      const segment = retention.segments[retention.indexOf(sequence)];
      if (segment === undefined) continue;
      const found = unread.get(segment.base) ?? new Set<number>();
      unread.set(segment.base, found.add(sequence));
    }
  return unread;
}
