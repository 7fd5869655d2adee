// Entry of the dashboard process: picks a transport, listens, answers from what the broker tells.
// Lives exactly as long as the channel to the broker; holds nothing that anybody would miss.

import './first.ts';
import type { Command } from '../contract/commands.ts';
import { every } from '../time/timers.ts';
import { Asker } from './ask.ts';
import { Commander } from './commander.ts';
import { History } from './history.ts';
import { Live } from './live.ts';
import type { DashboardOptions, FromChild, ServedBy, ToChild } from './messages.ts';
import { listenNode } from './node.ts';
import { createRouter } from './routes.ts';
import { SAMPLE_MS, Sampler } from './sampler.ts';
import { ListenError, type Listening, type ListenOptions } from './transport.ts';
import { listenUws, loadUws } from './uws.ts';

const EXIT_COULD_NOT_LISTEN = 1;

function tell(message: FromChild, then: () => void = () => {}): void {
  process.send?.(message, undefined, undefined, () => then());
}

const asker = new Asker((id) => tell({ type: 'ask', id }));
const commander = new Commander((id, command) => tell({ type: 'command', id, command }));
const history = new History();
const sampler = new Sampler({
  look: () => tell({ type: 'look' }),
  ask: async () => (await asker.ask())?.snapshot,
  history,
  now: () => performance.now(),
});

process.on('disconnect', () => process.exit(0));

process.on('message', (message: ToChild) => {
  if (message.type === 'start') void start(message.options);
  else if (message.type === 'answer') asker.answered(message.id, message.answer);
  else if (message.type === 'ping') tell({ type: 'pong', id: message.id });
  else if (message.type === 'activity') void sampler.heard(message.activity);
  else if (message.type === 'outcome') commander.answered(message.id, message.outcome);
});

async function start(options: DashboardOptions): Promise<void> {
  const { host, port } = options;
  const ask = () => asker.ask();
  const run = (command: Command) => commander.run(command);
  let chosen: ServedBy | undefined;
  const servedBy = () => chosen;
  const router = createRouter({ ...options, ask, run, history, servedBy });
  const live = new Live({ ...options, ask, run, servedBy });
  every(SAMPLE_MS, () => sampler.look());
  try {
    const { listening, ...by } = await listen(options.transport, { host, port, router, live });
    chosen = by;
    const isSecond = by.transport === 'node' && options.transport === 'auto';
    const note = isSecond ? `${by.why}, using node:http` : undefined;
    tell({ type: 'listening', port: listening.port, transport: by.transport, note });
  } catch (error) {
    const code = error instanceof ListenError ? error.code : 'UNKNOWN';
    const message = (error as Error).message;
    tell({ type: 'failed', code, message }, () => process.exit(EXIT_COULD_NOT_LISTEN));
  }
}

interface Chosen extends ServedBy {
  listening: Listening;
}

async function listen(
  wanted: DashboardOptions['transport'],
  options: ListenOptions,
): Promise<Chosen> {
  const second = async (why: string): Promise<Chosen> => ({
    listening: await listenNode(options),
    transport: 'node',
    why,
  });
  if (wanted === 'node') return second('node:http was asked for (dashboard_transport)');
  const uws = await loadUws();
  if (typeof uws !== 'string')
    return { listening: await listenUws(uws, options), transport: 'uws' };
  if (wanted === 'uws') throw new ListenError('NOUWS', `uWebSockets.js does not load: ${uws}`);
  return second(`uWebSockets.js does not load (${uws})`);
}
