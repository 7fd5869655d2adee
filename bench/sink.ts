// The ceiling for publishing, as `sinking` has it. A program of its own:
// `node build/bench/sink.js [u64|u32]`.

import type { Wire } from '../src/codec/wire.ts';
import { listen, onLeave, say } from './process.ts';
import { sink } from './sinking.ts';

const wire: Wire = process.argv[2] === 'u32' ? 'u32' : 'u64';
const intake = await listen((socket) => sink(socket, wire));
onLeave(() => process.exit(0));
say('ready', { intake });
