// The signals of the broker: which there are, what each asks for, and that none is lost or ends the
// process while it is still loading. What is done about them is lifecycle.ts.

/** What signals ask for. */
export interface SignalActions {
  /** The first SIGINT, SIGTERM or SIGQUIT: end politely. */
  stop(signal: string): void;
  /** A further one: end now. */
  force(signal: string): void;
  /** SIGHUP, which also comes when a terminal closes. */
  reload(): void;
  /** SIGUSR1, which tells other daemons to open their log files anew. */
  reopen(): void;
  /** SIGUSR2. */
  dump(): void;
}

const STOPS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGQUIT'];
const REQUESTS: readonly NodeJS.Signals[] = ['SIGHUP', 'SIGUSR1', 'SIGUSR2'];
/** npm and a terminal may both pass on the same Ctrl-C; that is one wish to stop, not two. */
const SAME_SIGNAL_MS = 200;

const held: NodeJS.Signals[] = [];
const listened = new Set<NodeJS.Signals>();
let take = (signal: NodeJS.Signals): void => void held.push(signal);

/**
 * Keeps signals until there is somebody to answer them. Those that stop are left to the system,
 * which can end a process that is stuck, except for the first process of a container: to that the
 * system does not deliver what nobody listens to.
 */
export function holdSignals(): void {
  listen(process.pid === 1 ? [...REQUESTS, ...STOPS] : REQUESTS);
}

/** Answers all signals from now on, and first those that were held. */
export function takeSignals(actions: SignalActions): void {
  let first: { signal: NodeJS.Signals; at: number } | undefined;
  take = (signal) => {
    if (signal === 'SIGHUP') actions.reload();
    else if (signal === 'SIGUSR1') actions.reopen();
    else if (signal === 'SIGUSR2') actions.dump();
    else if (first === undefined) {
      first = { signal, at: performance.now() };
      actions.stop(signal);
    } else if (signal !== first.signal || performance.now() - first.at > SAME_SIGNAL_MS)
      actions.force(signal);
  };
  listen([...REQUESTS, ...STOPS]);
  for (const signal of held.splice(0)) take(signal);
}

function listen(signals: readonly NodeJS.Signals[]): void {
  for (const signal of signals) {
    if (listened.has(signal)) continue;
    listened.add(signal);
    process.on(signal, () => take(signal));
  }
}
