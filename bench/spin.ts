// Computes and speaks to nobody: shows what it costs everybody else that somebody takes a core. A
// program of its own: `node build/bench/spin.js`.

import { onLeave, say } from './process.ts';

const TURN_MS = 5; // after which it looks whether it has to end

onLeave(() => process.exit(0));

function spin(): void {
  for (const until = performance.now() + TURN_MS; performance.now() < until; );
  setImmediate(spin);
}

say('ready');
spin();
