// What all connections together may hold in memory: partial input, and output that is not read.

/** One number for what all connections may hold in memory. */
export class Budget {
  readonly bytesMax: number;
  bytes = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get over(): boolean {
    return this.bytes > this.bytesMax;
  }
}
