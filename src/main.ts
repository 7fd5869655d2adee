#!/usr/bin/env node
// The program: arguments in, exit code out. Sizes the thread pool, keeps Node.js from what it does
// behind our back, then hands over to program.ts, which loads only the verb that was asked for.

// Eight threads keep a slow disk from holding up other file work. The pool reads this once, at its
// first use. Node.js 20 has used it by now to read this very file, so there it only counts when the
// environment brings it along.
process.env.UV_THREADPOOL_SIZE ??= '8';

const { refuseDebugger } = await import('./io/debugger.ts');
refuseDebugger();
const { outlastTerminal } = await import('./io/terminal.ts');
outlastTerminal();
const { loadModestly } = await import('./io/descriptors.ts');
const complaint = loadModestly();
if (complaint === undefined) {
  const { runProgram } = await import('./cli/program.ts');
  refuseDebugger(); // one that was being opened at the first time
  process.exitCode = await runProgram(process.argv.slice(2));
} else {
  process.stderr.write(`error: ${complaint}\n`);
  process.exitCode = 78;
}
