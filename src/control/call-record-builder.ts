import { randomUUID } from 'node:crypto';
import type { BridgeStats } from '../bridge/messages.js';
import type { Clock } from '../clock.js';
import { withoutUriPasswords } from '../addresses/number.js';
import type { Route, Target } from '../config/types.js';
import { agentTargetOf, type AgentTarget } from '../pranthora/agent-target.js';
import type { IncomingInvite } from '../signaling/sip-endpoint.js';
import { callEnd, type CallEnd } from './call-end.js';
import { audioReport, type CallFacts, type CallRecord, type CallSnapshot } from './call-record.js';
import { callerIdentity, type CallerIdentity } from './caller-identity.js';
import type { CallState } from './call-state.js';

/** Enough to find a call by; a call handed round for ever must not fill the memory. */
const MAX_REPLACED_BY = 32;

export interface CallAccountOptions {
  readonly invite: IncomingInvite;
  readonly did: string;
  readonly route: Route | undefined;
  readonly sipEngine: string;
  readonly mediaEngine: string;
  readonly clock: Clock;
  readonly wallTime: () => Date;
}

/** What is known of a call, from its INVITE on: for `/calls` while it lasts, and for its record. */
export class CallAccount {
  /** The latest figures of its media. */
  stats: BridgeStats | undefined;
  codec: string | undefined;
  /** The agent being tried or talking. */
  target: Target | undefined;
  /** Why it is over. */
  end: CallEnd | undefined;
  readonly #options: CallAccountOptions;
  readonly #identity: CallerIdentity;
  readonly #replacedBy: string[] = [];
  #sipSource: string;
  readonly #agentCallId = randomUUID();
  readonly #receivedAt: Date;
  readonly #receivedAtMs: number;
  #answeredAt: Date | undefined;

  constructor(options: CallAccountOptions) {
    this.#options = options;
    this.#identity = callerIdentity((name) => options.invite.header(name));
    this.#sipSource = options.invite.source.address;
    this.target = options.route?.targets[0];
    this.#receivedAt = options.wallTime();
    this.#receivedAtMs = options.clock.nowMs();
  }

  /** Since the INVITE. */
  get durationMs(): number {
    return Math.round(this.#options.clock.nowMs() - this.#receivedAtMs);
  }

  /** Another caller has taken the first one's place. */
  replaced({ callId, source }: IncomingInvite): void {
    this.#sipSource = source.address;
    if (this.#replacedBy.length < MAX_REPLACED_BY) this.#replacedBy.push(callId);
  }

  /** Whether the call has that Call-ID, of its first INVITE or of one that replaced it. */
  hasCallId(callId: string): boolean {
    return callId === this.#options.invite.callId || this.#replacedBy.includes(callId);
  }

  answered(): void {
    this.#answeredAt = this.#options.wallTime();
  }

  facts(): CallFacts {
    const { invite, did, route, sipEngine, mediaEngine } = this.#options;
    return {
      callId: invite.callId,
      agentCallId: this.#agentCallId,
      ...(this.#replacedBy.length > 0 ? { replacedBy: [...this.#replacedBy] } : {}),
      from: invite.from.user || withoutUriPasswords(invite.from.uri),
      ...this.#identity,
      to: invite.to.user || withoutUriPasswords(invite.to.uri),
      did,
      ...(route ? { route: route.name, ...(this.target && { mode: this.target.mode }), ...idsOf(this.target) } : {}),
      sipEngine,
      mediaEngine,
      ...(this.codec === undefined ? {} : { codec: this.codec }),
      receivedAt: this.#receivedAt.toISOString(),
      ...(this.#answeredAt ? { answeredAt: this.#answeredAt.toISOString() } : {}),
    };
  }

  snapshot(state: CallState): CallSnapshot {
    return {
      ...this.facts(),
      state,
      durationMs: this.durationMs,
      ...audioReport(this.stats, this.#sipSource),
      ...(this.stats ? { media: this.stats } : {}),
    };
  }

  /** The record, once it is over. */
  record(): CallRecord {
    const end = this.end ?? callEnd.internalError('ended without a reason');
    const { interruptions = [], reconnects = 0, uplink, downlink, firstAudioMs } = this.stats ?? {};
    return {
      ...this.facts(),
      endedAt: this.#options.wallTime().toISOString(),
      durationMs: this.durationMs,
      endedBy: end.endedBy,
      reason: end.reason,
      detail: end.detail,
      outcome: end.outcome,
      sipStatus: this.#answeredAt ? 200 : (end.sipStatus ?? end.rejection?.status ?? 500),
      ...(end.closeCode === undefined ? {} : { closeCode: end.closeCode }),
      ...audioReport(this.stats, this.#sipSource),
      interruptions,
      reconnects,
      ...(uplink ? { uplink } : {}),
      ...(downlink ? { downlink } : {}),
      ...(firstAudioMs === undefined ? {} : { firstAudioMs }),
    };
  }
}

/** Which agent or workflow, for logs and records. */
export const idsOf = (target: Target | undefined): Partial<AgentTarget> => (target ? agentTargetOf(target) : {});
