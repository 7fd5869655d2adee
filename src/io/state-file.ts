// A small text file of what is to be known at the next start: replaced in one step, on disk before
// anybody is told, one write at a time. After a failure it is what it was.

import fs from 'node:fs';
import path from 'node:path';

/** Such a file that is there and cannot be used; the message says what to do. */
export class StateFileError extends Error {
  override name = 'StateFileError';
}

type Done = (failure: Error | undefined) => void;

export class StateFile {
  readonly #folder: () => string;
  readonly #name: string;
  #waiting: { text: () => string; done: Done }[] = [];
  #writing = false;
  #text: string | undefined; // that it holds

  /** `folder` tells where it is: it may be renamed. */
  constructor(folder: () => string, name: string) {
    this.#folder = folder;
    this.#name = name;
  }

  get path(): string {
    return path.join(this.#folder(), this.#name);
  }

  /**
   * What the file says; undefined without one.
   * @throws the system's error when it is there and cannot be read.
   */
  read(): string | undefined {
    try {
      this.#text = fs.readFileSync(this.path, 'utf8');
      return this.#text;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /**
   * Replaces the file by what `text` gives when it is written; `done` comes when that is durable, or
   * with why it is not.
   */
  save(text: () => string, done: Done): void {
    this.#waiting.push({ text, done });
    if (!this.#writing) void this.#next();
  }

  // Whoever waits asked in turn: one text stands for all of them.
  async #next(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      const failure = await this.#replace(batch.at(-1)!.text());
      for (const { done } of batch) done(failure);
    }
    this.#writing = false;
  }

  async #replace(text: string): Promise<Error | undefined> {
    let renamed = false;
    try {
      await this.#rename(text);
      renamed = true;
      const folder = await fs.promises.open(this.#folder(), 'r');
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
      this.#text = text;
      return undefined;
    } catch (error) {
      if (renamed) await this.#putBack();
      return error as Error;
    }
  }

  async #rename(text: string): Promise<void> {
    const temporary = `${this.path}.tmp`;
    const file = await fs.promises.open(temporary, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await fs.promises.rename(temporary, this.path);
  }

  // The new text has the name and may not keep it: whoever is told that it failed should not find
  // it there at the next start. If this fails, too, nothing more can be done.
  async #putBack(): Promise<void> {
    try {
      if (this.#text === undefined) await fs.promises.rm(this.path, { force: true });
      else await this.#rename(this.#text);
    } catch {}
  }
}
