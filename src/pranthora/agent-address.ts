import type { G711Law } from '../audio/g711.js';
import type { AgentTarget } from './urls.js';

/**
 * - `websocket`: the pure WebSocket endpoint, 16 kHz PCM.
 * - `handshake`: `POST /api/call` for the URL of a WebSocket; the URL's path decides which protocol is spoken there.
 * - `telephony`: the Twilio-compatible endpoint, G.711.
 */
export type AgentMode = 'websocket' | 'handshake' | 'telephony';

/** Whom to reach, how, and what to tell about the call. Plain data. */
export interface AgentAddress {
  readonly mode: AgentMode;
  /** `ws:` or `wss:`, with or without a path in front of the API. The handshake's `http:` or `https:` is derived. */
  readonly baseUrl: string;
  readonly target: AgentTarget;
  /** Goes into the `x-api-key` header of upgrades and POSTs and nowhere else. */
  readonly apiKey: string;
  /** The law of the telephony protocol, should that be the one spoken. */
  readonly encoding: G711Law;
  /** What the telephony protocol's `start` calls the call; the same for all of a call's connections. */
  readonly callSid: string;
  /** What else `start` tells of the call. */
  readonly accountSid?: string;
  readonly customParameters?: Readonly<Record<string, string>>;
}
