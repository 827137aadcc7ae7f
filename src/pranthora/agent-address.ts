import type { G711Law } from '../audio/g711.js';
import type { AgentTarget } from './agent-target.js';

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
  /** The first goes into the `x-api-key` header of upgrades and POSTs and nowhere else; the next if it is refused. */
  readonly apiKeys: readonly string[];
  /** The law of the telephony protocol, should that be the one spoken. */
  readonly encoding: G711Law;
  /** What the telephony protocol's `start` calls the call; the same for all of a call's connections. */
  readonly callSid: string;
  /** A UUID for the `x-pranthora-callid` header; absent where Pranthora is not to be told one. */
  readonly agentCallId?: string;
  /** What else `start` tells of the call. */
  readonly accountSid?: string;
  readonly customParameters?: Readonly<Record<string, string>>;
}
