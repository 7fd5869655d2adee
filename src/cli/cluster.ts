// The verb `cluster`: what a node knows of all nodes, and stepping down for maintenance, through the
// admin API of any of them.

import type { Command } from 'commander';
import { type ClusterSnapshot, hindrance, stateText, TAKEN_OVER } from '../contract/cluster.ts';
import { formatDuration, formatSize } from '../core/text/units.ts';
import { sleep } from '../time/timers.ts';
import { type AdminOptions, addAdminVerb } from './admin-verbs.ts';
import { registerFounding } from './cluster-founding.ts';
import { Dashboard } from './dashboard.ts';
import { CliError, colorsFor, EXIT, emit, emitDone } from './output.ts';
import { count, newTable, printable } from './tables.ts';

const EXAMPLES = `
Any node will do: the owner tells all of them of the others, and they pass orders on to it.

Examples:
  thrustmq cluster status                    who owns the log, who follows, and how far they are
  thrustmq cluster status --json | jq .owner.node
  thrustmq cluster step-down                 another node owns the log, before this one is stopped
  thrustmq cluster step-down --leader        another server of NATS leads the stream
  thrustmq cluster init --data-dir ./data …  a cluster goes on with the log of a single broker
  thrustmq cluster restore --config FILE     the stream is lost: go on with this node's copy`;

const POLL_MS = 250;
/** A server of NATS that is killed is replaced in up to 9 s; others are much quicker. */
const PATIENCE_MS = 15_000;

type Node = ClusterSnapshot['nodes'][number];

/** Adds `cluster` and its verbs. */
export function registerCluster(program: Command): void {
  const cluster = program
    .command('cluster')
    .description('show the nodes of a cluster, or let another one own the log')
    .addHelpText('after', EXAMPLES);
  addAdminVerb(cluster, 'status', 'show the nodes, the stream, and what an ack means').action(
    status,
  );
  addAdminVerb(cluster, 'step-down', 'let another node own the log, and wait until it does')
    .option('--leader', 'let another server of NATS lead the stream instead')
    .option('--force', 'also if no other node would take over now')
    .action(stepDown);
  registerFounding(cluster);
}

async function ask(options: AdminOptions): Promise<ClusterSnapshot> {
  return (await new Dashboard(options).get('/api/v1/cluster')) as ClusterSnapshot;
}

async function status(options: AdminOptions): Promise<void> {
  const answer = await ask(options);
  if (answer.owner === null) process.exitCode = EXIT.failed;
  if (options.json) {
    await emit(`${JSON.stringify(answer)}\n`);
    return;
  }
  await emit(`${statusText(answer)}\n`);
}

function statusText(answer: ClusterSnapshot): string {
  const color = colorsFor(process.stdout);
  const { name, self, owner, ack, takeOvers, counts } = answer;
  const whose = owner === null ? 'no node owns the log' : `node ${owner.node} owns the log`;
  const lines = [
    `${color.bold(`cluster ${printable(name)}`)}: ${whose}, epoch ${self.epoch}`,
    ackText(answer),
    ...ack.warnings.map((text) => color.yellow(`warning: ${printable(text)}`)),
    streamText(answer),
    nodeTable(answer),
  ];
  const [last] = takeOvers;
  if (last !== undefined)
    lines.push(
      `node ${last.node} owns it since ${last.at}, as ${TAKEN_OVER[last.why]}; ` +
        `changes of the owner that node ${self.node} has seen: ${count(counts.takeOvers)}`,
    );
  lines.push(`appends in doubt: ${count(counts.doubts)}, void messages: ${count(counts.voids)}`);
  return lines.join('\n');
}

function ackText({ ack }: ClusterSnapshot): string {
  const text = `an ack means: ${printable(ack.means)}`;
  return ack.safe ? text : colorsFor(process.stdout).yellow(`${text} (unsafe)`);
}

function streamText({ stream }: ClusterSnapshot): string {
  const { name, bytes, maxBytes, leader, connected, blocked } = stream;
  const share = Math.round((bytes / Math.max(1, maxBytes)) * 100);
  const led = leader === null ? 'led by no server' : `led by ${printable(leader)}`;
  const parts = [
    `${formatSize(bytes)} of ${formatSize(maxBytes)} (${share} %)`,
    connected ? led : 'NATS is not reached',
    ...(blocked === null ? [] : [`publishes are refused: ${printable(blocked)}`]),
  ];
  return `stream ${printable(name)}: ${parts.join(', ')}`;
}

function nodeTable({ nodes, self, owner }: ClusterSnapshot): string {
  const head = ['node', 'state', 'epoch', 'behind', 'heard', 'version', 'dashboard', 'takes over'];
  const table = newTable(head, ['state', 'version', 'dashboard', 'takes over']);
  for (const node of [...nodes].sort((a, b) => a.node - b.node)) {
    const { epoch, lag, version, dashboard, seenMs } = node;
    const heard = node.node === self.node ? '' : `${formatDuration(Math.round(seenMs))} ago`;
    const where = dashboard === null ? '' : printable(dashboard);
    const behind = lag === 0 ? '0' : `${count(lag)}, ${formatDuration(Math.round(node.lagMs))}`;
    table.push([
      node.node,
      stateText(node),
      epoch,
      behind,
      heard,
      printable(version),
      where,
      readiness(node, owner?.node),
    ]);
  }
  return table.toString();
}

function readiness(node: Node, owner: number | undefined): string {
  if (node.node === owner) return 'owns the log';
  const why = hindrance(node);
  return why === undefined ? 'yes' : `no: ${printable(why)}`;
}

interface StepDownOptions extends AdminOptions {
  leader?: boolean;
  force?: boolean;
}

async function stepDown(options: StepDownOptions): Promise<void> {
  const { leader = false, force = false } = options;
  const before = await ask(options);
  if (!leader && !force) refuseAlone(before);
  await new Dashboard(options).change('POST', `/api/v1/cluster/step-down?leader=${leader ? 1 : 0}`);
  const after = await changed(options, leader ? isLedAnew(before) : isOwnedAnew(before));
  if (options.json) await emitDone(`${JSON.stringify(after)}\n`);
  else await emitDone(`${leader ? ledText(before, after) : ownedText(before, after)}\n`);
}

/** @throws CliError where the log would be without an owner. */
function refuseAlone({ nodes, owner }: ClusterSnapshot): void {
  const others = nodes.filter(({ node }) => node !== owner?.node);
  if (others.some((node) => hindrance(node) === undefined)) return;
  const whys = others.map((node) => `node ${node.node} ${printable(hindrance(node) ?? '')}`);
  throw new CliError(
    EXIT.failed,
    `no other node would take over: ${whys.join('; ') || 'there is none'}. Nothing was changed; --force does it all the same`,
  );
}

type Condition = (now: ClusterSnapshot) => boolean;

const isOwnedAnew =
  (before: ClusterSnapshot): Condition =>
  ({ owner, self }) =>
    owner !== null && self.epoch > before.self.epoch;

const isLedAnew =
  ({ stream: before }: ClusterSnapshot): Condition =>
  ({ stream }) =>
    stream.leader !== null && stream.leader !== before.leader;

async function changed(options: AdminOptions, isDone: Condition): Promise<ClusterSnapshot> {
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += POLL_MS) {
    await sleep(POLL_MS);
    try {
      const now = await ask(options);
      if (isDone(now)) return now;
    } catch (error) {
      // While the owner changes, nobody may answer.
      if (!(error instanceof CliError) || error.exitCode !== EXIT.unreachable) throw error;
    }
  }
  throw new CliError(
    EXIT.failed,
    `that was begun, and ${PATIENCE_MS / 1000} s later nobody else has taken over: see thrustmq cluster status`,
  );
}

function ownedText({ owner: before }: ClusterSnapshot, { owner, self }: ClusterSnapshot): string {
  const again = owner!.node === before?.node ? ' again' : '';
  const was = before === null || again !== '' ? '' : `; it was node ${before.node}`;
  return `node ${owner!.node} owns the log${again}, epoch ${self.epoch}${was}`;
}

function ledText({ stream: before }: ClusterSnapshot, { stream }: ClusterSnapshot): string {
  const was = before.leader === null ? '' : `; it was ${printable(before.leader)}`;
  return `${printable(stream.leader!)} leads the stream${was}`;
}
