// Errors that nobody caught. Of the broker's own code they end it; a subscriber of the message events
// is somebody else's code in this process, and what it throws is only reported.

import { channelAtFault } from '../io/following.ts';
import { type LoggerHandle, RateLimitedLog } from '../io/logger.ts';
import { EXIT } from './output.ts';

/** An error nobody expected: what is in memory can no longer be trusted, the log on disk can. */
export function exitOnBugs({ log, flush }: LoggerHandle): void {
  const reports = new RateLimitedLog(log);
  const die = (error: unknown): void => {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    const channel = channelAtFault();
    if (channel !== undefined) {
      const text = `a subscriber of ${channel} threw: ${message}; messages go on`;
      reports.write('subscriber.failed', { channel, stack }, text, 'error');
      return;
    }
    log.fatal({ event: 'bug', stack }, `bug: ${message}`);
    flush();
    process.exit(EXIT.bug);
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
}
