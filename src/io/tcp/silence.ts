// Peers that are gone although data is in flight to them: nothing is heard of them, and the system
// sends again and again.

import type { Overdue } from '../../core/timing/overdue.ts';
import { retransmissions } from '../peers.ts';
import type { SocketLink } from './link.ts';

// How long a link that owes something must have been silent to be looked up.
const SUSPECT_AFTER_MS = 10_000;
// Five retransmissions without an answer are more than six seconds of silence from the peer's host.
export const RETRANSMISSIONS_MIN = 5;

type Suspect = Pick<SocketLink, 'session' | 'peer' | 'destroyed' | 'destroy'>;

/** Whether nothing was heard of the peer for so long that it may not be there any more. */
export function isSilent({ session }: Pick<Suspect, 'session'>, clockMs: number): boolean {
  return session !== undefined && clockMs - session.heardMs > SUSPECT_AFTER_MS;
}

/**
 * The peer does not answer as of `clockMs`: its connection is closed when it is its turn, and
 * `closing` called, unless it was heard by then.
 */
export function giveUp<T extends Suspect>(
  link: T,
  overdue: Overdue,
  clockMs: number,
  closing: (link: T) => void,
): void {
  const { session } = link;
  if (session === undefined) return;
  overdue.add(session, clockMs, () => {
    if (link.destroyed || !isSilent(link, clockMs)) return;
    closing(link);
    session.closedFor = 'unreachable';
    link.destroy();
  });
}

/** Looks for peers that are gone with data in flight, and closes their connections. */
export class SilentPeers {
  readonly #links: ReadonlySet<SocketLink>;
  readonly #overdue: Overdue;
  readonly #closing: (link: SocketLink) => void;
  #looking = false;

  constructor(
    links: ReadonlySet<SocketLink>,
    overdue: Overdue,
    closing: (link: SocketLink) => void,
  ) {
    this.#links = links;
    this.#overdue = overdue;
    this.#closing = closing;
  }

  /** Gives up those that have sent nothing for a while and that the system cannot reach. */
  async look(clockMs: number): Promise<void> {
    if (this.#looking) return;
    const suspects = [...this.#links].filter((link) => isSilent(link, clockMs));
    if (suspects.length === 0) return;
    this.#looking = true;
    const counts = await retransmissions();
    this.#looking = false;
    for (const link of suspects)
      if (!link.destroyed && (counts.get(link.key) ?? 0) >= RETRANSMISSIONS_MIN)
        giveUp(link, this.#overdue, clockMs, this.#closing);
  }
}
