// Credentials for NATS, of a file that may be replaced while the node runs: it is read again each
// time that the node connects, so that credentials which end go on with those that follow them.

import { readFileSync } from 'node:fs';

export interface CredentialsOptions {
  file: string;
  /** Throws if bytes are no credentials. */
  check: (bytes: Uint8Array) => void;
  /** Gets a sentence for the log, each once until it is another one. */
  warn: (text: string) => void;
}

export class Credentials {
  readonly #options: CredentialsOptions;
  #good: Uint8Array;
  #said = '';

  /** Throws if they cannot be read, or are none. */
  constructor(options: CredentialsOptions) {
    this.#options = options;
    this.#good = this.#read();
  }

  /** As the file has them now, or had them last: it may be written to at this moment. Never throws,
   * since the client would never connect again. */
  current(): Uint8Array {
    try {
      this.#good = this.#read();
      this.#said = '';
    } catch (error) {
      const { file, warn } = this.#options;
      const text = `cannot use the credentials ${file} for NATS as they are now: ${(error as Error).message}; going on with those before`;
      if (text !== this.#said) warn(text);
      this.#said = text;
    }
    return this.#good;
  }

  #read(): Uint8Array {
    const bytes = readFileSync(this.#options.file);
    this.#options.check(bytes);
    return bytes;
  }
}
