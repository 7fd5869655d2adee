// What the dashboard's process does before it loads anything. A signal to the whole process group,
// as a terminal sends it, is for the broker; that takes this process along when it ends.

import { refuseDebugger } from '../io/debugger.ts';

for (const signal of ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGHUP', 'SIGUSR2'] as const)
  process.on(signal, () => {});
refuseDebugger();
