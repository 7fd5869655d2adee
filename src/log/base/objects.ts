// Where a base is kept: whole objects by name, outside of the stream, with as many copies. Promises
// rather than callbacks, as nothing waits for them but work beside the traffic. Each call ends by
// itself, if need be with a failure, which may pass.

export interface StoredObject {
  /** Of all its bytes; told by the store. */
  readonly digest: string;
  readonly bytes: number;
}

export interface ObjectStore {
  /** Names of the objects, and bytes of all of them, as of after any call that has ended. */
  held(): Promise<{ names: string[]; bytes: number }>;
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
