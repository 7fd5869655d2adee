#!/usr/bin/env node
// The program: arguments in, exit code out. Sizes the thread pool, then hands over to cli/program.ts,
// which loads only the verb that was asked for.

// Eight threads keep a slow disk from holding up file work that does not wait for it. The pool reads
// this once, at its first use; where the loader has used it already the variable still reaches the
// dashboard process.
process.env.UV_THREADPOOL_SIZE ??= '8';

const { runProgram } = await import('./cli/program.ts');
process.exitCode = await runProgram(process.argv.slice(2));
