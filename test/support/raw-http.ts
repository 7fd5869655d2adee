// HTTP byte by byte, as no client library would send it.

import net from 'node:net';

const WAIT_MS = 20_000;

/** Sends bytes as they are; gives what came back, to the end of one reply or of the connection. */
export function raw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = net.connect(port, '127.0.0.1');
    const finish = (): void => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(WAIT_MS, () =>
      reject(new Error(`no reply to ${JSON.stringify(bytes.slice(0, 60))}`)),
    );
    socket.on('error', finish).on('close', finish);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const [head, body] = text.split('\r\n\r\n');
      const length = /content-length: (\d+)/i.exec(head!);
      const isOver = bytes.startsWith('HEAD') || head!.startsWith('HTTP/1.1 101 ');
      if (isOver && body !== undefined) finish();
      else if (body !== undefined && length && body.length >= Number(length[1])) finish();
    });
    socket.write(bytes);
  });
}

/** Status of the reply to a request line and headers; 0: the connection was closed without one. */
export async function statusOf(port: number, lines: readonly string[]): Promise<number> {
  const text = await raw(port, `${lines.join('\r\n')}\r\n\r\n`);
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1] ?? 0);
}
