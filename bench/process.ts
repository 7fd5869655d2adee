// What the programs that run.ts starts have in common: they speak JSON lines on standard output and
// end with the one who started them. Not for use in run.ts itself.

import net, { type AddressInfo } from 'node:net';

/** Tells the parent something. */
export function say(event: string, fields: object = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
}

/** Calls `leave` when told to stop, or when the parent is gone. */
export function onLeave(leave: () => void): void {
  process.on('SIGTERM', leave);
  process.stdin.on('end', leave).on('error', leave).resume();
}

/** Listens on loopback on any free port; gives the port. */
export function listen(onSocket: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    onSocket(socket);
  });
  return new Promise((resolve) => {
    server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () =>
      resolve((server.address() as AddressInfo).port),
    );
  });
}
