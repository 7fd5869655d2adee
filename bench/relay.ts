// The ceiling from end to end: producers' messages go to consumers as delivery frames, acked to
// the producer at once, kept in memory until a consumer is free. Nothing is stored, checked or
// delivered again. A program of its own: `node build/bench/relay.js [u64|u32] [BATCH]`, where
// BATCH is what every consumer asks for. It sends no heartbeats: it is only used while there is
// load.

import { BATCH_MESSAGES_MAX } from '../assembly/layout.ts';
import type { Wire } from '../src/codec/wire.ts';
import { listen, onLeave, say } from './process.ts';
import { Relay } from './relaying.ts';

const wire: Wire = process.argv[2] === 'u32' ? 'u32' : 'u64';
const batchMessages = Math.min(Number(process.argv[3] ?? 1000), BATCH_MESSAGES_MAX);
const relay = new Relay(wire, batchMessages);
const intake = await listen((socket) => relay.addProducer(socket));
const exhaust = await listen((socket) => relay.addConsumer(socket));
onLeave(() => process.exit(0));
say('ready', { intake, exhaust });
