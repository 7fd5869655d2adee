// Where a base is kept: whole objects by name, outside of the stream, with as many copies. Promises
// rather than callbacks, as nothing waits for them but work beside the traffic. Each call ends by
// itself, if need be with a failure, which may pass.

export interface StoredObject {
  /** Of all its bytes; told by the store. */
  readonly digest: string;
  readonly bytes: number;
}

export interface Held {
  /** Of the objects. */
  names: string[];
  /** Of those of which there are pieces alone: they are being put, or whoever put them is gone. */
  unfinished: string[];
  /** Of all of it. */
  bytes: number;
}

/** One at a time puts or removes an object of a name. */
export interface ObjectStore {
  /** What there is, as of after any call that has ended. */
  held(): Promise<Held>;
  /** An object of that name is replaced when this one is there as a whole. */
  put(name: string, pieces: AsyncIterable<Uint8Array>): Promise<StoredObject>;
  /**
   * Gives `take` its bytes, in order; undefined if there is none. Rejects if it is not all there,
   * or not what was put.
   */
  get(
    name: string,
    take: (piece: Uint8Array) => Promise<void> | void,
  ): Promise<StoredObject | undefined>;
  /** Also what came of a put that has not ended, and never does so as a whole then. */
  remove(name: string): Promise<void>;
}

/** Puts an object of that many bytes. */
export function putWhole(
  objects: Pick<ObjectStore, 'put'>,
  name: string,
  bytes: Uint8Array,
): Promise<StoredObject> {
  return objects.put(name, once(bytes));
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** All bytes of an object; undefined if there is none. Rejects as `get` does. */
export async function getWhole(
  objects: Pick<ObjectStore, 'get'>,
  name: string,
): Promise<Uint8Array | undefined> {
  const pieces: Uint8Array[] = [];
  const found = await objects.get(name, (piece) => void pieces.push(piece.slice()));
  if (found === undefined) return undefined;
  const whole = new Uint8Array(pieces.reduce((bytes, piece) => bytes + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
