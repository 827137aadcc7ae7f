/** The SIP interface of the control plane. `drachtio/` is its only implementation, and the only user of drachtio-srf. */

import type { DigestClient } from './auth/digest-client.js';
import type { DialogId } from './replaces.js';

export interface SipAddress {
  readonly uri: string;
  /** User part of the URI, undecorated: the number, when it is one. */
  readonly user: string;
}

export interface SipRejection {
  readonly status: number;
  /** One line for the operator of the peer, sent as `Warning: 399` (RFC 3261 20.43) and `Reason`-free. */
  readonly warning?: string;
  readonly retryAfterSec?: number;
  /** Contact of a 302. */
  readonly contact?: string;
  /** Further header fields, such as the Accept of a 415. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Of a 401, a WWW-Authenticate header field each. */
  readonly challenges?: readonly string[];
}

/** An INVITE that has no final response yet. */
export interface IncomingInvite {
  readonly callId: string;
  readonly from: SipAddress;
  /** The To: the address that was dialled. */
  to: SipAddress;
  /** The Request-URI: the address that is called. */
  readonly requestUri: SipAddress;
  readonly source: { readonly address: string; readonly port: number; readonly protocol: string };
  /** Our address as this caller reached it. */
  readonly localAddress: string;
  /** The offer, or undefined when the INVITE had none. */
  readonly offer: string | undefined;
  /** The rejection of a body that must be understood and is not; then there is no offer. */
  readonly bodyRefusal?: SipRejection | undefined;
  /** First value of a header, any case. */
  header(name: string): string | undefined;
  /** 180 Ringing. */
  ring(): void;
  reject(rejection: SipRejection): void;
  /**
   * 200 with our SDP. Resolves when it was sent; rejects when the INVITE was cancelled or could not be answered. `handlers`
   * get all events of the dialog, from its beginning.
   */
  answer(localSdp: string, handlers: DialogHandlers): Promise<CallDialog>;
  /** Our credentials, for when this caller challenges what we send in the dialog. */
  digest: DigestClient | undefined;
  /** CANCEL; the 487 has already been sent. Called at most once, never after a final response. */
  onCancel: (() => void) | undefined;
}

export interface DialogHandlers {
  /** The dialog is over: by the peer's BYE, or by one that the SIP agent sent itself (`byPeer` false, e.g. no ACK). */
  onEnd(end: { byPeer: boolean; reason: string }): void;
  /** ACK to our 2xx; `sdp` is the answer when the offer was ours. */
  onAck(sdp: string | undefined): void;
  /** Re-INVITE or UPDATE. Resolves to the SDP for the 200 (undefined: none), or rejects with a RenegotiationRefused. */
  onRenegotiate(request: RenegotiationRequest): Promise<string | undefined>;
  /** A digit by INFO, already answered. Absent: digits are ignored. */
  onDigit?(digit: InfoDigit): void;
}

export interface InfoDigit {
  /** One of `0123456789*#ABCD`. */
  readonly digit: string;
  readonly durationMs: number;
}

export interface RenegotiationRequest {
  readonly offer: string | undefined;
  readonly method: 'INVITE' | 'UPDATE';
}

/** Why `onRenegotiate` refuses; the session stays unchanged (RFC 3261 section 14.2). */
export class RenegotiationRefused extends Error {
  override readonly name = 'RenegotiationRefused';
  constructor(
    readonly status: number,
    message: string,
    /** For the response, such as the Accept of a 415. */
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

/** The callee's final response was not a 2xx. */
export class CallRefused extends Error {
  override readonly name = 'CallRefused';
  /**
   * `warning` is the Warning header of the response. `fromPeer` is false when no response arrived and the SIP server generated
   * one (RFC 3261 section 8.1.3.1): 408 after a timeout, 503 when the request could not be sent.
   */
  constructor(
    readonly status: number,
    readonly reason: string,
    warning?: string,
    readonly fromPeer = true,
  ) {
    super(`${status} ${reason}${warning === undefined ? '' : ` (${warning})`}`);
  }
}

export interface CallDialog {
  readonly id: DialogId;
  /**
   * Sends BYE. Resolves when it is answered or timed out; never rejects. Idempotent; it may cross the peer's BYE.
   */
  bye(reason?: { cause: number; text: string }): Promise<void>;
  /** Re-INVITE with our offer; resolves to the peer's answer. Rejects when it is refused or not answered in time. */
  reinvite(offer: string): Promise<string>;
  /**
   * REFER (RFC 3515): asks the peer to call `uri` instead of us. Resolves to the outcome as soon as it is known, which ends
   * neither the dialog nor the session; never rejects. One at a time.
   */
  refer(uri: string, options: ReferOptions): Promise<ReferOutcome>;
}

export interface ReferOptions {
  /** From the REFER to its outcome; progress does not extend it. */
  readonly timeoutMs: number;
  /** The status of the peer's 2xx to the REFER, then that of each NOTIFY: 100, 180, 200. */
  readonly onProgress: (status: number) => void;
}

export interface ReferOutcome {
  /** The transfer target answered, or the peer accepted the REFER and sends no NOTIFY. */
  readonly transferred: boolean;
  /** One line. */
  readonly detail: string;
}

/** An OPTIONS outside any dialog (RFC 3261 section 11). */
export type CapabilityQuery = Pick<IncomingInvite, 'from' | 'to' | 'requestUri' | 'source' | 'header'>;

export interface SipEndpointHandlers {
  onInvite(invite: IncomingInvite): void;
  /**
   * How an INVITE like it would be refused; undefined if it would be accepted. Absent: the SIP server answers OPTIONS
   * itself, if at all.
   */
  readonly onOptions?: (query: CapabilityQuery) => SipRejection | undefined;
  /** The SIP server became reachable, or unreachable: then no new calls arrive and none can be ended by BYE. */
  onConnection(state: { connected: boolean; detail: string }): void;
}
