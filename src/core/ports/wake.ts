// How the core asks to be woken. Nothing is called back before these returned.

export interface Wake {
  /** The broker's `flush` is to be called after the inputs that wait now. */
  soon(): void;
  /** The broker's `rested` is to be called after about so many ms, once. */
  rest(ms: number): void;
  /** The core has work, after a sleep or in the middle of it: `advance` is to be called a tick from now, if not before.
   * Gives the monotonic ms that it is now. */
  stirred(): number;
}
