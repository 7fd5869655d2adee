// Ends a process whose terminal was closed while it ran as it wants to end: Node.js puts terminals
// back into their first state at its very end, and aborts where one cannot be reached any more.

import fs from 'node:fs';
import { isatty } from 'node:tty';

const STANDARD = [0, 1, 2];

/** To be called once, early: what is a terminal now must be one at the end, or be closed then. */
export function outlastTerminal(): void {
  const terminals = STANDARD.filter((descriptor) => isatty(descriptor));
  if (terminals.length === 0) return;
  process.on('exit', () => {
    for (const descriptor of terminals) {
      // One that was hung up does not answer as a terminal.
      if (isatty(descriptor)) continue;
      try {
        fs.closeSync(descriptor);
      } catch {
        // Closed already, which is as good.
      }
    }
  });
}
