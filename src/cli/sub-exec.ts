// `sub --exec`: a command for each message, so many at the same time, and what is said of a message
// by how its command ended. What had no command that ended is not acked.

import type { Consumer, Message } from '../client/index.ts';
import { type CommandEnd, runCommand } from './command.ts';
import { CliError, EXIT, note } from './output.ts';
import type { Ending } from './sub-ending.ts';
import { RELEASED, type Verdict, Verdicts } from './sub-verdicts.ts';

export interface ExecOptions {
  exec?: string;
  concurrency?: number;
  onFail?: Verdict;
  exit?: ReadonlyMap<number, Verdict>;
  execTimeout?: number;
  working?: number;
  count?: number;
  quiet?: boolean;
}

export class Execution {
  readonly #command: string;
  readonly #options: ExecOptions;
  readonly #ending: Ending;
  readonly #verdicts: Verdicts;
  readonly #stop = new AbortController();
  readonly #tally = new Map<Verdict['word'], number>();
  #taken = 0;
  #running = 0;
  #failure: CliError | undefined;

  constructor(command: string, options: ExecOptions, ending: Ending) {
    this.#command = command;
    this.#options = options;
    this.#ending = ending;
    this.#verdicts = new Verdicts(options.onFail, options.exit);
  }

  /** Messages about which something was said. */
  get decided(): number {
    let sum = 0;
    for (const count of this.#tally.values()) sum += count;
    return sum;
  }

  /** `: 8 done, 2 rejected`, or nothing. */
  get text(): string {
    const parts = [...this.#tally].map(([word, count]) => `${count} ${word}`);
    return parts.length === 0 ? '' : `: ${parts.join(', ')}`;
  }

  /** Starts no more commands; those that run go on. */
  stop(): void {
    this.#stop.abort();
  }

  /** Resolves when stopped and every command has ended. Throws what ended it early. */
  async run(consumer: Consumer): Promise<void> {
    const { concurrency = 1, working = 0 } = this.#options;
    this.#ending.quietFromNow();
    await consumer.run((message) => this.#handle(message), {
      concurrency,
      workingMs: working,
      signal: this.#stop.signal,
    });
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #handle(message: Message): Promise<void> {
    this.#taken += 1;
    if (this.#taken === this.#options.count) this.stop();
    this.#running += 1;
    this.#ending.busy();
    try {
      const end = await runCommand(message.body, message.signal, {
        command: this.#command,
        variables: { THRUSTMQ_BUCKET: String(message.bucket) },
        timeoutMs: this.#options.execTimeout,
      });
      this.#decide(message, end);
    } catch (error) {
      this.#giveUp(message, (error as Error).message);
    } finally {
      this.#running -= 1;
      if (this.#running === 0) this.#ending.quietFromNow();
    }
  }

  #decide(message: Message, { code, how }: CommandEnd): void {
    if (!message.isOpen) {
      this.#say(`a command ${how}, and its message was gone: it comes again`);
      return;
    }
    const verdict = this.#verdicts.of(code);
    if (verdict === undefined) {
      this.#giveUp(message, `it ${how}`);
      return;
    }
    verdict.decide(message);
    this.#tally.set(verdict.word, (this.#tally.get(verdict.word) ?? 0) + 1);
    if (code !== 0) this.#say(`a command ${how}: its message is ${verdict.word}`);
  }

  /** Nothing is wrong with the message, and the next one would fare no better. */
  #giveUp(message: Message, why: string): void {
    RELEASED.decide(message);
    this.#failure ??= new CliError(EXIT.failed, `"${this.#command}" cannot be run: ${why}`);
    this.stop();
  }

  #say(text: string): void {
    if (!this.#options.quiet) note(text);
  }
}
