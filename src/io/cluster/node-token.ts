// The token by which nodes know each other where the network between them is private: a file that
// only its owner may read, read again when it changes. The token itself goes nowhere: not into a
// line of the log, not over the network.

import { createHash, timingSafeEqual } from 'node:crypto';
import fs from 'node:fs';
import { PROOF_BYTES } from './preamble.ts';

const TOKEN_CHARACTERS_MIN = 16;
const TOKEN_BYTES_MAX = 4096;

/** A token; `proof` throws an Error that says what is wrong with its file, never what it holds. */
export class NodeToken {
  readonly #path: string | undefined;
  #seen = '';
  #proof: Buffer = Buffer.alloc(PROOF_BYTES);

  /** `path`: its file. */
  constructor(path: string | undefined) {
    this.#path = path;
  }

  /** One that stands in no file. */
  static of(token: string): NodeToken {
    const fixed = new NodeToken(undefined);
    fixed.#proof = proofOf(token);
    return fixed;
  }

  /** What proves that a node has the token: 32 bytes. Looks whether the file is another by now. */
  proof(): Buffer {
    if (this.#path === undefined) return this.#proof;
    const { mode, size, mtimeMs, ctimeMs, ino } = fs.statSync(this.#path);
    const seen = [mode, size, mtimeMs, ctimeMs, ino].join();
    if (seen === this.#seen) return this.#proof;
    if (process.platform !== 'win32' && (mode & 0o077) !== 0)
      throw new Error(`${this.#path} may be read by others: chmod 600 it`);
    if (size > TOKEN_BYTES_MAX) throw new Error(`${this.#path} is too long for a token`);
    const token = fs.readFileSync(this.#path, 'utf8').trim();
    if (token.length < TOKEN_CHARACTERS_MIN)
      throw new Error(`${this.#path} holds fewer than ${TOKEN_CHARACTERS_MIN} characters`);
    this.#proof = proofOf(token);
    this.#seen = seen;
    return this.#proof;
  }

  /** Whether a node that proves itself so has the token. Takes as long whatever is wrong. */
  matches(proof: Uint8Array): boolean {
    return timingSafeEqual(this.proof(), proof);
  }
}

function proofOf(token: string): Buffer {
  return createHash('sha256').update(`thrustmq node ${token}`).digest();
}
