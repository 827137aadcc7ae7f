import type { LogFields } from '../../logger.js';
import type { BridgeHostSettings, HeldByBridges } from './bridge-host.js';
import type { BridgeCommand, BridgeEvent } from '../messages.js';

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
  /** With what is held now, unless it is of the kind `stats`: any other may have changed that. */
  | { readonly kind: 'event'; readonly event: BridgeEvent; readonly held?: HeldByBridges }
  | { readonly kind: 'log'; readonly level: LogMethod; readonly fields: LogFields; readonly message?: string };

export type LogMethod = 'debug' | 'info' | 'warn' | 'error';
