// What the settings of the dashboard say together: where it listens, and who is let in.

import { resolve } from 'node:path';
import { isLoopback } from './address.ts';
import { ConfigError, issueText } from './config-file.ts';
import { SETTINGS, type SettingValues } from './schema.ts';
import { readFirstLine } from './text-file.ts';

export interface DashboardConfig {
  enabled: boolean;
  host: string;
  port: number;
  transport: 'auto' | 'uws' | 'node';
  /** Names that a browser may use besides loopback and `host`. */
  allowedHosts: string[];
  /** Whoever wants more than the probes must name it. */
  token?: string | undefined;
  readOnly: boolean;
}

/**
 * What the values say of the dashboard.
 * @throws ConfigError where they do not go together, or the token file cannot be read
 */
export function buildDashboard(values: SettingValues, workingDir: string): DashboardConfig {
  const token = tokenOf(values, workingDir);
  const named = values.dashboard_host;
  const host = named ?? values.host;
  const isOpen = values.dashboard && token === undefined && !isLoopback(host);
  // Who opens the ports of messages has not said that strangers may look into buckets.
  if (isOpen && named !== undefined)
    throw new ConfigError(
      `the dashboard on ${host} could be used by whoever reaches it: give it a token (--dashboard-token-file), or leave out --dashboard-host to keep it on 127.0.0.1`,
    );
  return {
    enabled: values.dashboard,
    host: isOpen ? '127.0.0.1' : host,
    port: values.dashboard_port,
    transport: values.dashboard_transport,
    allowedHosts: values.dashboard_allow_host,
    ...(token === undefined ? {} : { token }),
    readOnly: values.dashboard_read_only,
  };
}

function tokenOf(values: SettingValues, workingDir: string): string | undefined {
  const { dashboard_token: token, dashboard_token_file: file } = values;
  if (file === undefined) return token;
  if (token !== undefined)
    throw new ConfigError('dashboard_token and dashboard_token_file are both given: leave one out');
  const path = resolve(workingDir, file);
  let line: string;
  try {
    line = readFirstLine(path);
  } catch (error) {
    throw new ConfigError(`cannot read the token file ${path}: ${(error as Error).message}`);
  }
  const checked = SETTINGS.shape.dashboard_token.safeParse(line);
  if (!checked.success)
    throw new ConfigError(`the first line of ${path} ${issueText(checked.error.issues)}`);
  return checked.data;
}
