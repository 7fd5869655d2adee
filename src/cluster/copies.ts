// What each node tells of its copy of the log where the stream is lost, so that all of it is seen
// on any machine: an object for each in the bucket of the bases, whose nodes do not run.
//
// What is told holds as long as the log stands still. So it is remembered before it is told, and
// taken back by the start of a node before anything is written to its log.

import type { Copy } from '../core/cluster/copies.ts';
import { getWhole, type ObjectStore, putWhole } from '../log/base/objects.ts';
import { settle } from '../log/files/promises.ts';
import type { PlaceFile, Remembered } from './place-file.ts';

/** As told; times are ISO 8601, by the clock of that machine. */
export interface ToldCopy extends Copy {
  /** When the last file of its log was written to. */
  writtenAt: string;
  toldAt: string;
}

type Objects = Pick<ObjectStore, 'held' | 'get' | 'put' | 'remove'>;

const FORMAT = 1;
const nameOf = (node: number): string => `copy-${node}`;

/** Whether an object tells of a copy. */
export function isCopy(name: string): boolean {
  return /^copy-\d+$/.test(name);
}

/** `known`: what the node remembers, if anything. */
export async function tellCopy(
  objects: Objects,
  copy: ToldCopy,
  placeFile: PlaceFile,
  known: Remembered | undefined,
): Promise<void> {
  if (known !== undefined) await settle((done) => placeFile.save({ ...known, isTold: true }, done));
  const text = new TextEncoder().encode(JSON.stringify({ format: FORMAT, ...copy }));
  await putWhole(objects, nameOf(copy.node), text);
}

/** Whether something may have been told of the log here. */
export function mayBeTold(known: Remembered | undefined): boolean {
  return known === undefined || known.isTold === true;
}

/** What was told of this node does not hold any more; undefined: there never were any objects. */
export async function takeBackCopy(objects: Objects | undefined, node: number): Promise<void> {
  if (objects === undefined) return;
  const { names } = await objects.held();
  if (names.includes(nameOf(node))) await objects.remove(nameOf(node));
}

/** All that was told; one that cannot be read was not. */
export async function toldCopies(objects: Objects): Promise<ToldCopy[]> {
  const { names } = await objects.held();
  const copies: ToldCopy[] = [];
  for (const name of names.filter(isCopy)) {
    const copy = await copyIn(objects, name);
    if (copy !== undefined && nameOf(copy.node) === name) copies.push(copy);
  }
  return copies.sort((a, b) => a.node - b.node);
}

async function copyIn(objects: Objects, name: string): Promise<ToldCopy | undefined> {
  try {
    const text = new TextDecoder().decode(await getWhole(objects, name));
    const { format, ...copy } = JSON.parse(text) as ToldCopy & { format: number };
    const { node, logId, epoch, end, sequence, nodes, writtenAt, toldAt } = copy;
    const isWhole =
      format === FORMAT &&
      [node, epoch, end, sequence, ...nodes].every(Number.isSafeInteger) &&
      [logId, writtenAt, toldAt].every((each) => typeof each === 'string');
    return isWhole ? copy : undefined;
  } catch {
    return undefined;
  }
}
