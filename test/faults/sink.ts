// The control of the pressure measurement: a server that takes every connection and every byte and
// keeps nothing. What an attack on it costs a broker beside it, the machine costs, not the broker.
//
//   node build/test/faults/sink.js     prints its two ports, then serves until it is killed

import { once } from 'node:events';
import net from 'node:net';

const ports: number[] = [];
for (let i = 0; i < 2; i++) {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.resume();
  });
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
  await once(server, 'listening');
  ports.push((server.address() as net.AddressInfo).port);
}
console.log(ports.join(' '));
