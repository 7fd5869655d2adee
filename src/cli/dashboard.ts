// The verbs' way to the admin API of a running broker: finds the dashboard, brings the token along,
// and turns what goes wrong into a sentence and an exit code.

import { readFirstLine } from '../config/text-file.ts';
import { authority } from '../core/text/address.ts';
import { signalAfter } from '../time/deadline.ts';
import { CliError, EXIT } from './output.ts';
import { refuseMisspelled, resolveTarget } from './target.ts';

export interface DashboardTarget {
  host?: string;
  port?: number;
  dataDir?: string;
  tokenFile?: string;
}

const TIMEOUT_MS = 10_000;

interface Problem {
  detail?: string;
  code?: string;
}

export class Dashboard {
  readonly #base: string;
  readonly #token: string | undefined;

  /** @throws CliError when it is not known where the dashboard is, or its token cannot be read. */
  constructor(options: DashboardTarget, environment = process.env) {
    const { host, port } = resolveTarget(options, 'dashboard');
    this.#base = `http://${authority(host, port)}`;
    if (options.tokenFile === undefined)
      refuseMisspelled(environment, ['THRUSTMQ_DASHBOARD_TOKEN', 'THRUSTMQ_DASHBOARD_TOKEN_FILE']);
    const file = options.tokenFile ?? (environment.THRUSTMQ_DASHBOARD_TOKEN_FILE || undefined);
    this.#token = file === undefined ? environment.THRUSTMQ_DASHBOARD_TOKEN : tokenIn(file);
  }

  /** What the dashboard answers as JSON. @throws CliError when it does not. */
  get(path: string): Promise<unknown> {
    return this.#ask('GET', path);
  }

  /** Changes something, with further headers. @throws CliError when that is refused. */
  change(
    method: 'POST' | 'PUT' | 'DELETE',
    path: string,
    more: Record<string, string> = {},
  ): Promise<unknown> {
    return this.#ask(method, path, more);
  }

  async #ask(method: string, path: string, more: Record<string, string> = {}): Promise<unknown> {
    const url = `${this.#base}${path}`;
    const headers: Record<string, string> = { ...more, 'x-thrustmq-request': '1' };
    if (this.#token) headers.authorization = `Bearer ${this.#token}`;
    let response: Response;
    try {
      const signal = signalAfter(TIMEOUT_MS);
      response = await fetch(url, { method, headers, signal, redirect: 'error' });
    } catch (error) {
      const { cause, message } = error as Error;
      const { code, message: reason } = (cause ?? {}) as NodeJS.ErrnoException;
      const why = code ?? reason;
      throw new CliError(
        EXIT.unreachable,
        `no dashboard answers at ${url}: ${why ?? message}. Start a broker (thrustmq serve), or say where it is: --data-dir, or --host and --port`,
      );
    }
    const body = await response.json().catch(() => undefined);
    if (typeof body !== 'object' || body === null)
      throw new CliError(EXIT.unreachable, `${url} is not the dashboard of a broker`);
    if (!response.ok) throw refused(url, response, body as Problem);
    return body;
  }
}

function refused(url: string, response: Response, { detail, code }: Problem): CliError {
  const text = `${url}: ${detail ?? response.statusText}`;
  if (response.status === 401)
    return new CliError(
      EXIT.failed,
      `${text}. Give it with --token-file or THRUSTMQ_DASHBOARD_TOKEN`,
    );
  if (response.status === 400) return new CliError(EXIT.usage, text);
  if (response.status === 503) return new CliError(EXIT.unreachable, text);
  return new CliError(EXIT.failed, code === undefined ? text : `${text} (${code})`);
}

function tokenIn(file: string): string {
  try {
    return readFirstLine(file);
  } catch (error) {
    const text = `cannot read the token file ${file}: ${(error as Error).message}`;
    throw new CliError(EXIT.config, text);
  }
}
