// The copies of a log whose stream is lost: whether a cluster may go on with one of them. All nodes
// wrote the same batches in the same order, so of two copies the one that ends earlier is the start
// of the other, unless its last batch is of a later owner: then the stream had forgotten some, and
// each has what the other has not.

import type { Position } from '../ports/basics.ts';

/** How far a node's copy goes. */
export interface Copy {
  node: number;
  /** LOG_ID, in hexadecimal digits. */
  logId: string;
  /** Who wrote its last batch. */
  epoch: number;
  /** Behind that. */
  end: Position;
  /** Sequence number of the next message. */
  sequence: number;
  /** Numbers of the nodes that this one has ever known. */
  nodes: readonly number[];
}

/** Why a copy is not to be gone on with, while another one stands beside it. */
export type Against =
  | { why: 'silent'; node: number }
  | { why: 'ahead' | 'parted' | 'other log'; node: number; copy: Copy };

/**
 * What speaks against going on with `own`, by number of the node: each other one that any copy knows
 * of has to have told of its own, and to have nothing more. `without`: nodes whose copies are lost,
 * or given up.
 */
export function against(own: Copy, others: readonly Copy[], without: readonly number[]): Against[] {
  const told = new Map(others.map((copy) => [copy.node, copy]));
  const known = new Set([own, ...others].flatMap(({ node, nodes }) => [node, ...nodes]));
  for (const node of [own.node, ...without]) known.delete(node);
  return [...known]
    .sort((a, b) => a - b)
    .flatMap((node): Against[] => {
      const copy = told.get(node);
      if (copy === undefined) return [{ why: 'silent', node }];
      const why = whyNot(own, copy);
      return why === undefined ? [] : [{ why, node, copy }];
    });
}

function whyNot(own: Copy, other: Copy): 'ahead' | 'parted' | 'other log' | undefined {
  if (other.logId !== own.logId) return 'other log';
  const isFurther = other.end > own.end;
  const isLater = other.epoch > own.epoch;
  if (isFurther && other.epoch >= own.epoch) return 'ahead';
  // Of one length, a later owner's is no start of this one.
  return isFurther || isLater ? 'parted' : undefined;
}
