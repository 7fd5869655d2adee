// The verbs `cluster init` and `cluster restore`: a cluster goes on with the log of a folder whose
// broker is stopped.

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { LogFound } from '../cluster/founding.ts';
import type { Comparison } from '../cluster/restoring.ts';
import type { Against, Copy } from '../core/cluster/copies.ts';
import { formatSize } from '../core/text/units.ts';
import { createLogger } from '../io/logger.ts';
import { CliError, EXIT, emit, emitDone, note } from './output.ts';
import { addSettings, loadSettings } from './serve.ts';
import { count, newTable, printable } from './tables.ts';
import { readVersion } from './version.ts';

const INIT = `
Stop the broker first. Its log becomes the first base of the cluster, and the folder that of a node;
the stream must not have a message yet. Then start the nodes, this one too: those with empty folders
build themselves. Takes the settings of serve, in the same ways.

Example:
  thrustmq cluster init --config /etc/thrustmq/thrustmq.toml

Exit codes: 0 done, 2 wrong usage, 74 the log or the stream cannot be used, 75 a broker runs on the
folder, 78 settings do not fit.`;

const RESTORE = `
For a stream that is gone, or is behind what nodes have. Stop all nodes, and run this without --yes
on each machine: each leaves with NATS how far its copy goes, and shows what the others left, so the
last one shows all. It says where to go on: there, and only there, run it with --yes. It refuses
while another node has more, or has not told of its copy. If the stream is still there, remove it.
Then empty the data folders of the other nodes, of which you keep copies until you are satisfied:
they build themselves anew.

Examples:
  thrustmq cluster restore --config /etc/thrustmq/thrustmq.toml
  thrustmq cluster restore --config /etc/thrustmq/thrustmq.toml --yes
  thrustmq cluster restore --config /etc/thrustmq/thrustmq.toml --without 3 --yes

Exit codes: 0 done, 1 nothing was done, as --yes was not given or another copy has more, 2 wrong
usage, 74 the log or the stream cannot be used, 75 a broker runs on the folder, 78 settings do not
fit.`;

/** Adds `cluster init` and `cluster restore`. */
export function registerFounding(cluster: Command): void {
  const init = cluster.command('init').description('begin a cluster with the log of a broker');
  addSettings(init)
    .addHelpText('after', INIT)
    .action(() => begin(init, 'init'));
  const restore = cluster
    .command('restore')
    .description("begin a new stream with a node's copy of the log, as the old one is lost");
  addSettings(restore)
    .option('-y, --yes', 'all nodes are stopped: do it, unless another copy has more')
    .addOption(withoutOption())
    .addHelpText('after', RESTORE)
    .action(() => begin(restore, 'restore'));
}

function withoutOption(): Option {
  const text = 'go on without what only that node has: its disk is lost, or given up; repeatable';
  return new Option('--without <NODE>', text).argParser((value: string, before?: number[]) => {
    if (!/^[1-9]\d{0,8}$/.test(value))
      throw new InvalidArgumentError('It must be the number of a node.');
    return [...(before ?? []), Number(value)];
  });
}

async function begin(command: Command, purpose: 'init' | 'restore'): Promise<void> {
  const { config } = await loadSettings(command);
  const { cluster, dataDir } = config;
  if (cluster === undefined)
    throw new CliError(EXIT.usage, 'say of which cluster: --cluster NAME, or cluster in the file');
  const { yes = false, without = [] }: { yes?: boolean; without?: number[] } = command.opts();
  if (without.includes(cluster.node))
    throw new CliError(EXIT.usage, `--without ${cluster.node} is this node: name others`);
  const { found } = await import('../cluster/founding.ts');
  const { StartError } = await import('../data-folder.ts');
  const { log } = await createLogger({ ...config.logging, level: 'warn', color: false });
  try {
    const options = { config, log, version: readVersion(), purpose };
    const made = await found(options, async (what, stream) => {
      note(`${dataDir}: ${foundText(what)}`);
      if (purpose === 'init') return true;
      const { compareCopies } = await import('../cluster/restoring.ts');
      const compared = await compareCopies({ config, log, found: what, tells: !yes, without });
      await emit(`${copiesTable(compared)}\n`);
      for (const each of compared.against) note(againstText(each, compared.own));
      const isBest = compared.against.length === 0;
      if (isBest && !yes)
        note(
          `no copy has more than this one. Nothing was done: once all nodes are stopped, --yes begins stream ${stream} with it`,
        );
      return isBest && yes;
    });
    if (made === undefined) process.exitCode = EXIT.failed;
    else
      await emitDone(
        `cluster ${cluster.name} goes on with it: ${made.segments} segments, ${formatSize(made.bytes)} were put. Start the nodes; those with empty data folders build themselves\n`,
      );
  } catch (error) {
    if (error instanceof StartError) throw new CliError(error.exitCode, error.message);
    throw error;
  }
}

function foundText({ logId, end, sequence, epoch }: LogFound): string {
  const id = logId.toString(16).padStart(16, '0');
  return `log ${id} ends at position ${end}, behind message ${sequence - 1}, as of epoch ${epoch}`;
}

function copiesTable({ own, others, against }: Comparison): string {
  const head = ['node', 'log', 'epoch', 'ends at', 'behind message', 'last written', 'told'];
  const table = newTable(head, ['log', 'last written', 'told']);
  const silent = against.filter(({ why }) => why === 'silent').map(({ node }) => node);
  for (const copy of [own, ...others].sort((a, b) => a.node - b.node)) {
    const { node, logId, epoch, end, sequence, writtenAt, toldAt } = copy;
    const told = copy === own ? 'this node' : printable(toldAt);
    const numbers = [epoch, count(end), count(sequence - 1)];
    table.push([node, printable(logId), ...numbers, printable(writtenAt), told]);
  }
  for (const node of silent) table.push([node, '', '', '', '', '', 'nothing yet']);
  return table.toString();
}

function againstText(found: Against, own: Copy): string {
  const { why, node } = found;
  const without = `--without ${node}`;
  if (why === 'silent')
    return `node ${node} has not told how far its copy goes: run thrustmq cluster restore there, too; if its disk is lost, say ${without}`;
  const { copy } = found;
  const givesUp = `${without} gives up what only that one has`;
  if (why === 'other log')
    return `the copy of node ${node} is of another log, ${printable(copy.logId)}: ${givesUp}`;
  if (why === 'parted')
    return `the copy of node ${node} and this one have parted at some message: each has some that the other has not. Choose one; ${givesUp}`;
  const [its, here] = [copy.sequence - 1, own.sequence - 1].map(count);
  return `the copy of node ${node} goes further: it ends behind message ${its}, this one behind ${here}; restore with --yes there. ${givesUp}`;
}
