// The control of the pressure measurement: a server that takes every connection and every byte and
// keeps nothing. What an attack on it costs a broker beside it, the machine costs, not the broker.
//
// A broker has to close connections that hold too much; so does this one, as soon as it can.
//
//   node build/test/faults/sink.js     prints its two ports, then serves until it is killed

import { once } from 'node:events';
import net from 'node:net';

// One that has sent as much and now sends little at a time is a slow sender.
const MOST_BYTES = 256 * 1024;
const LEAST_BYTES = 16;

const ports: number[] = [];
for (let i = 0; i < 2; i++) {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    let bytes = 0;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
      if (chunk.length < LEAST_BYTES && bytes > MOST_BYTES) socket.resetAndDestroy();
    });
  });
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
  await once(server, 'listening');
  ports.push((server.address() as net.AddressInfo).port);
}
console.log(ports.join(' '));
