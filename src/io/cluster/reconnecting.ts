// How long a node waits before it tries a server of NATS again. Servers that are away are tried all
// the time, as a node can do nothing until one is back; those that answer, and do not let it in,
// ever less often: each try costs them a signature to check, and a line of their log.

/** While servers are away, in ms. */
const AWAY_MS = 100;
/** The longest, in ms; and so long it takes at most to notice that it is let in again. */
const REFUSED_MS = 5000;

export class Reconnecting {
  readonly #servers: number;
  #refusals = 0;

  /** `servers`: how many there are. Only once all have refused it a node waits longer. */
  constructor(servers: number) {
    this.#servers = servers;
  }

  /** Before the next try of a server, in ms. */
  delayMs(): number {
    const rounds = Math.floor(this.#refusals / this.#servers);
    return Math.min(REFUSED_MS, AWAY_MS * 2 ** Math.min(rounds, 10));
  }

  /** A server has said that it does not let this node in. */
  refused(): void {
    this.#refusals++;
  }

  /** One lets it in. */
  entered(): void {
    this.#refusals = 0;
  }
}
