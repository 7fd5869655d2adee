// The verbs `cluster init` and `cluster restore`: a cluster goes on with the log of a folder whose
// broker is stopped.

import type { Command } from 'commander';
import type { LogFound } from '../cluster/founding.ts';
import { formatSize } from '../core/text/units.ts';
import { createLogger } from '../io/logger.ts';
import { CliError, EXIT, emitDone, note } from './output.ts';
import { addSettings, loadSettings } from './serve.ts';
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
For a stream that is gone, or is behind what nodes have. Stop all nodes, run this without --yes on
each machine, and see whose copy ends furthest: what that one does not have is lost. If the stream
is still there, remove it. Then run it with --yes on that machine alone, and empty the data folders
of the other nodes, of which you keep copies until you are satisfied: they build themselves anew.

Examples:
  thrustmq cluster restore --config /etc/thrustmq/thrustmq.toml
  thrustmq cluster restore --config /etc/thrustmq/thrustmq.toml --yes

Exit codes: 0 done, 1 nothing was done, as --yes was not given, 2 wrong usage, 74 the log or the
stream cannot be used, 75 a broker runs on the folder, 78 settings do not fit.`;

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
    .option('-y, --yes', 'all nodes are stopped, and no copy ends further than this one: do it')
    .addHelpText('after', RESTORE)
    .action(() => begin(restore, 'restore'));
}

async function begin(command: Command, purpose: 'init' | 'restore'): Promise<void> {
  const { config } = await loadSettings(command);
  const { cluster, dataDir } = config;
  if (cluster === undefined)
    throw new CliError(EXIT.usage, 'say of which cluster: --cluster NAME, or cluster in the file');
  const agreed = purpose === 'init' || command.opts().yes === true;
  const { found } = await import('../cluster/founding.ts');
  const { StartError } = await import('../data-folder.ts');
  const { log } = await createLogger({ ...config.logging, level: 'warn', color: false });
  try {
    const options = { config, log, version: readVersion(), purpose };
    const made = await found(options, (what, stream) => {
      note(`${dataDir}: ${foundText(what)}`);
      if (!agreed)
        note(
          `nothing was done: if no other node's copy ends further, and all nodes are stopped, --yes begins stream ${stream} with this one`,
        );
      return agreed;
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
