// beanstalkd as far as the load needs it: put, reserve and delete, pipelined.

import {
  bodyOf,
  cutter,
  decimal,
  Link,
  lineEnd,
  type Publisher,
  repeated,
  type Side,
  type Speaker,
  type Subscriber,
} from './protocol.ts';

/** Reservations that are asked for before the ones before are answered. */
const RESERVES_AHEAD = 100;
/** How long a job may stay reserved, s. */
const RUN_SECONDS = 600;

export interface BeanstalkHandler {
  onInserted?: () => void;
  onReserved?: (id: string) => void;
  onDeleted?: () => void;
  onError: (text: string) => void;
}

/** Reads answers at any split. */
export function answers(handler: BeanstalkHandler): (chunk: Uint8Array) => void {
  return cutter((bytes, at) => {
    const next = lineEnd(bytes, at);
    if (next < 0) return -1;
    const kind = bytes.toString('latin1', at, at + 3);
    if (kind === 'INS') handler.onInserted?.();
    else if (kind === 'DEL' && bytes[at + 3] === 0x45) handler.onDeleted?.();
    else if (kind === 'RES') {
      const [, id, size] = bytes.toString('latin1', at, next - 2).split(' ');
      const end = next + decimal(Buffer.from(size), 0) + 2;
      if (end > bytes.length) return -1;
      handler.onReserved?.(id);
      return end;
    } else handler.onError(bytes.toString('latin1', at, next - 2));
    return next;
  });
}

const failing = (side: Side) => (text: string) =>
  side.onFailure(new Error(`beanstalkd says: ${text}`));

async function publisher(side: Side): Promise<Publisher> {
  const link = await Link.to(side.port, side.onFailure);
  let confirmed = 0;
  const read = answers({ onInserted: () => confirmed++, onError: failing(side) });
  link.receive((bytes) => {
    confirmed = 0;
    read(bytes);
    if (confirmed > 0) side.onMessages(confirmed);
  });
  const head = Buffer.from(`put 0 0 ${RUN_SECONDS} ${side.messageBytes}\r\n`);
  const one = Buffer.concat([head, bodyOf(side.messageBytes), Buffer.from('\r\n')]);
  const batch = repeated(one, side.batchMessages);
  return { send: () => link.write(batch), close: () => link.close() };
}

async function subscriber(side: Side): Promise<Subscriber> {
  const link = await Link.to(side.port, side.onFailure);
  let commands = '';
  let deleted = 0;
  const read = answers({
    onReserved: (id) => {
      commands += `delete ${id}\r\nreserve\r\n`;
    },
    onDeleted: () => deleted++,
    onError: failing(side),
  });
  link.receive((bytes) => {
    commands = '';
    deleted = 0;
    read(bytes);
    if (commands !== '') link.write(commands);
    if (deleted > 0) side.onMessages(deleted);
  });
  link.write('reserve\r\n'.repeat(RESERVES_AHEAD));
  return { close: () => link.close() };
}

export const BEANSTALK: Speaker = { prepare: async () => {}, publisher, subscriber };
