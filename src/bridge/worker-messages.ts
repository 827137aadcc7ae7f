import type { LogFields } from '../logger.js';
import type { BridgeHostSettings, HeldByBridges } from './bridge-host.js';
import type { BridgeCommand, BridgeEvent } from './messages.js';

/** What is said to a media worker. */
export type ToWorker =
  | { readonly kind: 'command'; readonly command: BridgeCommand }
  | { readonly kind: 'configure'; readonly settings: BridgeHostSettings }
  /** To end the thread, once its bridges are closed. */
  | { readonly kind: 'stop' };

/** What a media worker says. */
export type FromWorker =
  /** It takes commands. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'event'; readonly event: BridgeEvent }
  /** Before every event but `stats`: what has happened may have changed it. */
  | { readonly kind: 'held'; readonly held: HeldByBridges }
  | { readonly kind: 'log'; readonly level: LogMethod; readonly fields: LogFields; readonly message?: string };

export type LogMethod = 'debug' | 'info' | 'warn' | 'error';
