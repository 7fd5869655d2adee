// What reading the batches of producers needs of the broker, and of the connection that they come
// by.

import type { BreachKind } from '../../contract/close-reasons.ts';
import type { Commit } from '../commit/commit.ts';
import type { FairShare, SharingProducer } from '../fairness/fair-share.ts';
import type { IntakeRules } from '../fairness/intake-policy.ts';
import type { Limits } from '../limits.ts';
import type { Counters } from '../metrics/counters.ts';
import type { Codec } from '../ports/codec.ts';
import type { Link } from '../ports/link.ts';

/** What reading batches needs of the broker. */
export interface BatchHost {
  /** Packs what is in the inbox into the open segment, or only walks it. */
  readonly codec: Pick<Codec, 'inbox' | 'result' | 'intake' | 'skim'> &
    Pick<Codec, 'marks' | 'rows' | 'coldBytes' | 'intakePlaced' | 'place' | 'writeAt'>;
  /** `batchMessagesMax` and, in bytes, `messageBytesMax`. */
  readonly limits: Limits;
  /** The open batch, how much may go into it, and who is to be told when it is durable. */
  readonly commit: Pick<
    Commit,
    'stalled' | 'refuses' | 'allow' | 'makeRoom' | 'mayPlace' | 'packed' | 'reply'
  >;
  /** How much a producer may put into a batch, and when it goes on. */
  readonly fairShare: FairShare;
  /** Who is asked about messages before they are packed, if anybody is. */
  readonly rules: IntakeRules | undefined;
  /** Batches, and refusals by their reason. */
  readonly counters: Counters;
  readonly turns: {
    /** Asks for a flush after the inputs that wait now. */
    flushSoon(): void;
  };
}

/** The connection whose batches are read. */
export interface BatchOwner extends SharingProducer {
  readonly link: Link;
  /** Messages that were taken from it. */
  messages: number;
  /** Whether its next message is larger than a quantum. */
  large: boolean;
  /** Waits for room; `roomAgain` is called when there may be some. */
  wait(): void;
  /** Nothing more comes. */
  goodbye(): void;
  /** The peer went too far: closed at once. */
  breach(why: BreachKind, text: string): void;
}
