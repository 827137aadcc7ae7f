/**
 * A call's life:
 *
 *     received ── accept ──▶ connecting ── agent-ready ──▶ answering ── answered ──▶ active ── transfer ─────▶ transferring
 *         │                      │                            │                        │ ◀── transfer-failed ────── │
 *         └──────── end ─────────┴──────────── end ───────────┴───────── end ──────────┴──────────── end ───────────┘
 *                                              ▼
 *                                           closing ── released ──▶ closed
 *
 * One table; what is not in it cannot happen. The first `end` decides why the call ended.
 */
export type CallState = 'received' | 'connecting' | 'answering' | 'active' | 'transferring' | 'closing' | 'closed';

export type CallInput = 'accept' | 'agent-ready' | 'answered' | 'transfer' | 'transfer-failed' | 'end' | 'released';

const TRANSITIONS: Record<CallState, Partial<Record<CallInput, CallState>>> = {
  received: { accept: 'connecting', end: 'closing' },
  connecting: { 'agent-ready': 'answering', end: 'closing' },
  // From here on the agent may be replaced by the route's next one: that one becoming ready changes nothing here.
  answering: { 'agent-ready': 'answering', answered: 'active', end: 'closing' },
  active: { 'agent-ready': 'active', transfer: 'transferring', end: 'closing' },
  transferring: { 'agent-ready': 'transferring', 'transfer-failed': 'active', end: 'closing' },
  closing: { released: 'closed' },
  closed: {},
};

/** The state after `input`, or undefined when the table has no such row: the input came too late. */
export function nextState(state: CallState, input: CallInput): CallState | undefined {
  return TRANSITIONS[state][input];
}
