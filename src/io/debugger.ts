// Keeps Node.js from opening its debugger when it gets SIGUSR1: anybody who connects to that port
// runs code in the process. For the first moments of a process, before anything that takes time.

import inspector from 'node:inspector';

/**
 * Takes SIGUSR1 from the debugger and closes one that a signal opened already. One that was asked
 * for on the command line, or by an editor, stays.
 */
export function refuseDebugger(): void {
  // A listener takes the place of the debugger's own.
  if (!process.listeners('SIGUSR1').includes(ignore)) process.on('SIGUSR1', ignore);
  const { NODE_OPTIONS = '', VSCODE_INSPECTOR_OPTIONS } = process.env;
  const isAsked = [...process.execArgv, NODE_OPTIONS].some((text) => text.includes('--inspect'));
  if (isAsked || VSCODE_INSPECTOR_OPTIONS !== undefined) return;
  if (inspector.url() !== undefined) inspector.close();
}

function ignore(): void {}

/** Flags with which a Node.js that knows how does not even open one while it starts. */
export function flagsWithoutDebugger(): string[] {
  const flag = '--disable-sigusr1';
  return process.allowedNodeEnvironmentFlags.has(flag) ? [flag] : [];
}
