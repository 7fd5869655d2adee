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
