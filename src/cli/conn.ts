// The verb `conn`: lists the connections of a running broker, and closes one.

import type { Command } from 'commander';
import { ROWS_MAX } from '../contract/commands.ts';
import type { ConnectionSnapshot } from '../contract/snapshot.ts';
import { formatDuration } from '../core/text/units.ts';
import { type AdminOptions, addAdminVerb } from './admin-verbs.ts';
import { Dashboard } from './dashboard.ts';
import { emit, emitDone, note } from './output.ts';
import { count, newTable } from './tables.ts';
import { wholeNumber } from './target.ts';

const EXAMPLES = `
Examples:
  thrustmq conn ls                      who is connected, and what it holds
  thrustmq conn kill 17                 close one; what it held is ready again at once`;

interface Page {
  connections: ConnectionSnapshot[];
  cursor: string | null;
  intake: number;
  exhaust: number;
}

/** Adds `conn` and its verbs. */
export function registerConn(program: Command): void {
  const conn = program
    .command('conn')
    .description('list the connections of a running broker, or close one')
    .addHelpText('after', EXAMPLES);
  const verb = (name: string, text: string) => addAdminVerb(conn, name, text);
  verb('ls', 'list connections')
    .option('-n, --limit <N>', 'rows at most', wholeNumber, 100)
    .action(list);
  verb('kill', 'close a connection')
    .argument('<connection>', 'its number, from conn ls', wholeNumber)
    .action(kill);
}

async function list(options: AdminOptions & { limit: number }): Promise<void> {
  const dashboard = new Dashboard(options);
  const all: Page = { connections: [], cursor: null, intake: 0, exhaust: 0 };
  do {
    const limit = Math.min(ROWS_MAX, options.limit - all.connections.length);
    const cursor = all.cursor === null ? '' : `&cursor=${all.cursor}`;
    const page = (await dashboard.get(`/api/v1/connections?limit=${limit}${cursor}`)) as Page;
    Object.assign(all, { ...page, connections: [...all.connections, ...page.connections] });
  } while (all.cursor !== null && all.connections.length < options.limit);
  if (options.json) {
    await emit(`${JSON.stringify(all)}\n`);
    return;
  }
  const left = ['side', 'peer', 'bucket'];
  const head = ['connection', 'side', 'peer', 'wire', 'bucket', 'unacked', 'messages', 'silent'];
  const table = newTable(head, left);
  for (const { id, side, peer, via, wire, bucket, unacked, messages, idleMs } of all.connections) {
    const held = unacked === undefined ? '' : count(unacked);
    const from = via === undefined ? peer : `${peer} via ${via}`;
    table.push([id, side, from, wire, bucket ?? '', held, count(messages), formatDuration(idleMs)]);
  }
  await emit(`${table.toString()}\n`);
  if (all.cursor !== null) note(`of ${all.intake + all.exhaust} connections; more with --limit`);
}

async function kill(id: number, options: AdminOptions): Promise<void> {
  const dashboard = new Dashboard(options);
  const closed = (await dashboard.change('DELETE', `/api/v1/connections/${id}`)) as {
    peer: string;
  };
  if (options.json) await emitDone(`${JSON.stringify(closed)}\n`);
  else await emitDone(`connection ${id} of ${closed.peer} is closed\n`);
}
