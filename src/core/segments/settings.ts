// What was set while a broker ran, as the log says it: messages of settings lines, each the text of
// one rule. The sequence of such a message is the version of its rule. They stand in no bucket's
// line; their segments hold them like others.

import { MESSAGE_SIZE_BYTES } from '../../../assembly/layout.ts';
import { HEAD_BYTES } from '../../../assembly/layout-placed.ts';
import type { Buckets } from '../buckets/buckets.ts';
import type { Position } from '../ports/basics.ts';
import type { Retention } from './retention.ts';

export class Settings {
  readonly #texts = new Map<number, string>();
  /** Grows with each change, by at least one. */
  changes = 0;

  get size(): number {
    return this.#texts.size;
  }

  has(sequence: number): boolean {
    return this.#texts.has(sequence);
  }

  /** Texts by the sequence of their message. */
  get texts(): ReadonlyMap<number, string> {
    return this.#texts;
  }

  set(sequence: number, text: string): void {
    this.changes++;
    this.#texts.set(sequence, text);
  }

  remove(sequence: number): void {
    if (this.#texts.delete(sequence)) this.changes++;
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
