// The package's entry: everything a program that talks to a broker may import, and nothing else.
// Reaches no further than two files of src/codec, assembly/layout.ts, src/time and Node's own modules.
//
// The typings need nothing but a target of ES2020: what they take from newer libraries they name.

/// <reference lib="esnext.disposable" preserve="true" />

declare global {
  /** Node's or the browser's own, where their typings are there. */
  interface AbortSignal {}
}

export type { BucketLike, Wire } from '../codec/wire.ts';
export { Client, type ClientOptions, type Local } from './client.ts';
export { Consumer, createConsumer } from './consumer.ts';
export type { ConsumerOptions } from './consumer-options.ts';
export { ThrustError, type ThrustErrorCode } from './errors.ts';
export type { RunOptions } from './handlers.ts';
export type { Message, RetryOptions } from './message.ts';
export type { ConnectionOptions, ReconnectOptions, Status } from './options.ts';
export {
  type CloseOptions,
  createProducer,
  Producer,
  type ProducerOptions,
  type SendOptions,
} from './producer.ts';
export { EncodedBatch, type Outgoing } from './publication.ts';
