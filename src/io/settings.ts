// A small text file of settings that operators change while the broker runs: replaced in one step,
// on disk before anybody is told, one write at a time.

import fs from 'node:fs';
import path from 'node:path';

type Done = (failure: Error | undefined) => void;

export class SettingsFile {
  readonly path: string;
  readonly #folder: string;
  #waiting: { text: string; done: Done }[] = [];
  #writing = false;

  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.path = path.join(folder, name);
  }

  /**
   * What the file says; undefined without one.
   * @throws the system's error when it is there and cannot be read.
   */
  read(): string | undefined {
    try {
      return fs.readFileSync(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Replaces the file; `done` comes when that is durable, or with why it is not. */
  save(text: string, done: Done): void {
    this.#waiting.push({ text, done });
    if (!this.#writing) void this.#next();
  }

  // Whoever waits asked in turn: the last text stands for all of them.
  async #next(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      const failure = await this.#replace(batch.at(-1)!.text);
      for (const { done } of batch) done(failure);
    }
    this.#writing = false;
  }

  async #replace(text: string): Promise<Error | undefined> {
    const temporary = `${this.path}.tmp`;
    try {
      const file = await fs.promises.open(temporary, 'w', 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await fs.promises.rename(temporary, this.path);
      const folder = await fs.promises.open(this.#folder, 'r');
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }
}
