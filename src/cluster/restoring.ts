// Before a cluster goes on with the copy of one node: what is known of the others' copies.

import type { BrokerConfig } from '../config/load.ts';
import { type Against, against } from '../core/cluster/copies.ts';
import { connectObjects } from '../io/cluster/object-bucket.ts';
import type { Logger } from '../io/logger.ts';
import { hex } from '../log/base/finding.ts';
import { type ToldCopy, tellCopy, toldCopies } from './copies.ts';
import type { LogFound } from './founding.ts';
import { streamOptions } from './stream-options.ts';

export interface ComparingOptions {
  config: BrokerConfig;
  log: Logger;
  found: LogFound;
  /** Whether the others are told of this copy, too. */
  tells: boolean;
  /** Nodes whose copies are lost, or given up. */
  without: readonly number[];
}

export interface Comparison {
  own: ToldCopy;
  others: ToldCopy[];
  against: Against[];
}

/** Waits, and warns, while NATS is away. Rejects as connectStream does. */
export async function compareCopies(options: ComparingOptions): Promise<Comparison> {
  const { config, log, found, tells, without } = options;
  const { objects, close } = await connectObjects(streamOptions(config.cluster!, log), tells);
  try {
    const own = copyOf(options);
    if (tells) await tellCopy(objects!, own, found.placeFile, found.known);
    const told = objects === undefined ? [] : await toldCopies(objects);
    const others = told.filter(({ node }) => node !== own.node);
    return { own, others, against: against(own, others, without) };
  } finally {
    await close();
  }
}

function copyOf({ config, found }: ComparingOptions): ToldCopy {
  const { logId, epoch, end, sequence, known, writtenMs } = found;
  return {
    node: config.cluster!.node,
    logId: hex(logId),
    epoch,
    end,
    sequence,
    nodes: known?.nodes ?? [],
    writtenAt: new Date(writtenMs).toISOString(),
    toldAt: new Date().toISOString(),
  };
}
