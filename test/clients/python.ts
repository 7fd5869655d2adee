// Runs Python programs for the tests of clients/python and of PROTOCOL.md. When python3 is
// missing those tests are skipped, which node:test counts and names.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const hasPython = spawnSync('python3', ['-c', 'pass']).status === 0;

/** The folder of the quickstart clients. */
export const PYTHON_CLIENTS = fileURLToPath(new URL('../../../clients/python/', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts python3 with `extra` in its environment; it is killed if the test's process ends first. */
export function runPython(
  args: readonly string[],
  extra: Record<string, string> = {},
): {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
} {
  const env = {
    ...process.env,
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONPATH: PYTHON_CLIENTS,
    ...extra,
  };
  const child = spawn('python3', args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      process.off('exit', kill);
      resolve({ code, stdout, stderr });
    });
  });
  return { child, ended };
}
