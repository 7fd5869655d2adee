// What nodes of a cluster ask of each other. Any node takes any operator's command: the owner of the
// log carries it out, and hears on the way how each node is.

import type { ClusterSnapshot, NodeStatus } from './cluster.ts';
import type { Command, CommandKind, Outcome } from './commands.ts';

/** A node as the owner last heard of it. */
export type SeenNode = ClusterSnapshot['nodes'][number];

export type Order =
  | { kind: 'command'; command: Command }
  /** How the node is; its answer are all nodes. */
  | { kind: 'status'; status: NodeStatus };

export type OrderAnswer =
  | { outcome: Outcome }
  | { nodes: SeenNode[] }
  /** Nothing was done: another node owns the log. */
  | { refused: 'not-owner' };

/**
 * Commands that are about the very node that is asked, and stay there: its connections and its
 * files. All others go to the owner of the log.
 */
export const IS_LOCAL: Record<CommandKind, boolean> = {
  buckets: false,
  bucket: false,
  peek: false,
  connections: true,
  segments: true,
  rules: false,
  rule: false,
  'rule-keys': false,
  'bucket-rule': false,
  'rule-set': false,
  'rule-remove': false,
  close: true, // of a connection, by a number that means another one elsewhere
  pause: false,
  resume: false,
  purge: false,
  redrive: false,
  'redrive-cancel': false,
  'dead-reasons': false,
  backup: true, // into a folder of the node's host
  'backup-state': true,
  'backup-cancel': true,
  'cluster-step-down': false,
};
