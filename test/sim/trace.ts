// What happened in a world, event by event: a hash of it all, to compare runs, and the last lines.

const LINES_MAX = 60;

export class Trace {
  #low = 0x811c9dc5;
  #high = 0x01000193;
  events = 0;
  readonly lines: string[] = [];
  readonly #print: boolean;

  /** With `print` every event goes to the standard error, too. */
  constructor(print = false) {
    this.#print = print;
  }

  add(text: string): void {
    this.events++;
    for (let i = 0; i < text.length; i++) this.#mix(text.charCodeAt(i));
    this.#mix(10);
    if (this.#print) process.stderr.write(`${text}\n`);
    if (this.lines.length === LINES_MAX) this.lines.shift();
    this.lines.push(text);
  }

  bytes(bytes: Uint8Array): void {
    for (const byte of bytes) this.#mix(byte);
  }

  #mix(value: number): void {
    this.#low = Math.imul(this.#low ^ value, 0x01000193);
    this.#high = Math.imul(this.#high ^ (value + (this.#low >>> 24)), 0x85ebca6b);
  }

  get hash(): string {
    const hex = (word: number) => (word >>> 0).toString(16).padStart(8, '0');
    return hex(this.#high) + hex(this.#low);
  }
}
