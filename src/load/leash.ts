// Runs another program of ours in this process and ends it when whoever started it is gone, however
// that happened: standard input is the leash. `node leash.js PROGRAM ARGS`.

import { pathToFileURL } from 'node:url';

const stop = (): void => void process.kill(process.pid, 'SIGTERM');
const { stdin } = process;
stdin.on('end', stop).on('error', stop).resume();
// The leash alone keeps nobody here who has nothing left to do.
if ('unref' in stdin) stdin.unref();

process.argv.splice(1, 1);
await import(pathToFileURL(process.argv[1]).href);
