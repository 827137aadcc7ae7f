import { randomBytes } from 'node:crypto';
import type { CancelTimer, Clock } from '../../clock.js';
import { DigestClient, type AuthenticatedResponse, type DigestRefusal } from '../auth/digest-client.js';
import type { OutsideRequest, OutsideResponse } from '../drachtio/outside-request.js';
import { describeGenerated, isFromPeer } from '../generated-response.js';
import { errorText } from '../../error-text.js';
import { grantedSec, leastExpiresSec, retryAfterSec } from './registration-bindings.js';

/** One registration as configured. */
export interface RegistrationSettings {
  /** For logs and `/health`. */
  readonly name: string;
  /** Request-URI of the REGISTER: a SIP URI without a user. */
  readonly registrar: string;
  readonly user: string;
  /** User name of the credentials. */
  readonly authUser: string;
  readonly password: string;
  /** User part of our Contact: the Request-URI of calls over this registration has it. */
  readonly contactUser: string;
  /** Lifetime to ask for, in seconds. */
  readonly expiresSec: number;
  /** The next hop as a SIP URI, when it is not the registrar itself. */
  readonly proxy?: string;
}

/**
 * `waiting`: no SIP server to send through. `registering`: the first attempt is under way. `failing`: the last attempt
 * failed; an earlier binding may still be valid.
 */
export type RegistrationState = 'waiting' | 'registering' | 'registered' | 'failing' | 'ended';

export interface RegistrationStatus {
  readonly name: string;
  readonly state: RegistrationState;
  /** Whether calls can arrive over it now. */
  readonly bound: boolean;
  /** Lifetime that the registrar granted last, in seconds; 0 before the first grant. */
  readonly expiresSec: number;
  /** The reason of the last failure; empty when there is none. */
  readonly detail: string;
}

/** A failed attempt. */
export interface RegistrationFailure {
  /** Absent when there was no response. */
  readonly status?: number;
  readonly reason: string;
  /** The configuration, here or at the registrar, has to change before another attempt can succeed. */
  readonly misconfigured: boolean;
  readonly retryAfterMs: number;
}

interface RegistrationEvents {
  /** Registered for the first time, or again after a failure. */
  onRegistered(expiresSec: number): void;
  /** Called once while the reason stays the same. */
  onFailed(failure: RegistrationFailure): void;
}

export interface RegistrationDependencies extends RegistrationEvents {
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /** See `DrachtioSipEndpoint.send`. */
  readonly send: (request: OutsideRequest) => Promise<OutsideResponse>;
}

const BACK_OFF_INITIAL_MS = 2_000;
const BACK_OFF_MAX_MS = 5 * 60_000;
/** A registrar may lock out a client that sends a wrong password again and again. */
const MISCONFIGURED_RETRY_MS = 10 * 60_000;
const MAX_RETRY_AFTER_SEC = 3_600;
/** Lower bound of the refresh interval: a registrar that grants very short bindings must not keep us busy. */
const MIN_REFRESH_MS = 1_000;
/** How long a shutdown waits for a registrar that does not answer; the binding then expires by itself. */
const UNREGISTER_TIMEOUT_MS = 2_000;
/** Credentials refused, not allowed, no such user: an early retry cannot succeed. */
const MISCONFIGURED = new Set([401, 403, 404, 407]);

/**
 * Keeps one binding at one registrar (RFC 3261 section 10.2): refreshes it in time, retries after failures with a back-off,
 * removes it at the end. Clock and network are handed in, so that a test runs a day in milliseconds.
 */
export class Registration {
  readonly settings: RegistrationSettings;
  readonly #dependencies: RegistrationDependencies;
  readonly #digest: DigestClient;
  // RFC 3261 section 10.2: all REGISTERs of one registration have one Call-ID and rising CSeq numbers.
  readonly #callId = randomBytes(16).toString('hex');
  readonly #tag = randomBytes(8).toString('hex');
  #sequence = 0;
  #state: RegistrationState = 'waiting';
  #expiresSec = 0;
  #boundUntilMs = -Infinity;
  #askSec: number;
  /** The address the registrar answers from. */
  #address: string | undefined;
  #failure: RegistrationFailure | undefined;
  #backOffMs = BACK_OFF_INITIAL_MS;
  #cancelTimer: CancelTimer | undefined;
  /** The result of an attempt counts only while this is still the number it began with. */
  #era = 0;
  #stopped: Promise<void> | undefined;

  constructor(settings: RegistrationSettings, dependencies: RegistrationDependencies) {
    this.settings = settings;
    this.#dependencies = dependencies;
    this.#digest = new DigestClient({ user: settings.authUser, password: settings.password });
    this.#askSec = settings.expiresSec;
  }

  get bound(): boolean {
    return this.#state !== 'ended' && this.#holds;
  }

  status(): RegistrationStatus {
    const { bound } = this;
    const detail = this.#failure?.reason ?? '';
    return { name: this.settings.name, state: this.#state, bound, expiresSec: this.#expiresSec, detail };
  }

  /** Whether the registrar answers from that address and our binding is valid; calls may arrive shortly after `stop`. */
  isFrom(address: string): boolean {
    return address === this.#address && this.#holds;
  }

  /** The credentials for a call that came over this registration. */
  digestForCall(): DigestClient | undefined {
    return this.#digest.forDialog();
  }

  /** The SIP server became reachable: it may be another process, so register at once. */
  begin(): void {
    if (this.#stopped) return;
    this.#newEra();
    this.#backOffMs = BACK_OFF_INITIAL_MS;
    this.#attempt(this.#era);
  }

  /** The SIP server is unreachable. The binding at the registrar stays. */
  pause(): void {
    if (this.#stopped) return;
    this.#newEra();
    this.#state = 'waiting';
  }

  /** Ends the registration; `unbind` also removes the binding, and waits up to 2 s for that. Never rejects. Idempotent. */
  stop({ unbind }: { readonly unbind: boolean }): Promise<void> {
    const mayBeBound = this.#state === 'registering' || (this.#state !== 'waiting' && this.bound);
    this.#stopped ??= this.#end(unbind && mayBeBound);
    return this.#stopped;
  }

  get #holds(): boolean {
    return this.#dependencies.clock.nowMs() < this.#boundUntilMs;
  }

  #newEra(): void {
    this.#era += 1;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #attempt(era: number): void {
    if (this.#state !== 'registered' && this.#state !== 'failing') this.#state = 'registering';
    this.#register(this.#askSec).then(
      (result) => {
        if (era === this.#era) this.#onResponse(result);
      },
      (error: unknown) => {
        if (era === this.#era) this.#onFailure(errorText(error));
      },
    );
  }

  #onResponse({ response, refused }: AuthenticatedResponse<OutsideResponse>): void {
    const { status } = response;
    if (status >= 200 && status < 300) this.#onSuccess(response);
    else if (status === 423 && this.#askLonger(response)) this.#attempt(this.#era);
    else this.#onFailure(explain(response, refused), response);
  }

  /** Asks for the Min-Expires of a 423 (RFC 3261 section 10.2.8). False when it is missing or not longer than before. */
  #askLonger(response: OutsideResponse): boolean {
    const leastSec = leastExpiresSec(response);
    if (leastSec === undefined || leastSec <= this.#askSec) return false;
    this.#askSec = leastSec;
    return true;
  }

  #onSuccess(response: OutsideResponse): void {
    const granted = grantedSec(response, this.settings.contactUser, this.#askSec);
    if (granted === 0) {
      this.#onFailure('the registrar answered 2xx without a binding for our Contact', response);
      return;
    }
    const isNews = this.#state !== 'registered';
    this.#state = 'registered';
    this.#failure = undefined;
    this.#backOffMs = BACK_OFF_INITIAL_MS;
    this.#address = response.sourceAddress;
    this.#expiresSec = granted;
    this.#boundUntilMs = this.#dependencies.clock.nowMs() + granted * 1_000;
    // Between one half and three quarters: many registrations spread out, and a failure leaves time to retry.
    const refreshMs = Math.round(granted * 1_000 * (0.5 + 0.25 * this.#dependencies.random()));
    this.#again(Math.max(MIN_REFRESH_MS, refreshMs));
    if (isNews) this.#dependencies.onRegistered(granted);
  }

  #onFailure(reason: string, response?: OutsideResponse): void {
    const misconfigured = response !== undefined && MISCONFIGURED.has(response.status);
    const retryAfterMs = this.#nextDelayMs(misconfigured, response);
    const isNews = this.#state !== 'failing' || this.#failure?.reason !== reason;
    const status = response && isFromPeer(response) && { status: response.status };
    this.#failure = { ...status, reason, misconfigured, retryAfterMs };
    this.#state = 'failing';
    this.#again(retryAfterMs);
    if (isNews) this.#dependencies.onFailed(this.#failure);
  }

  #nextDelayMs(misconfigured: boolean, response: OutsideResponse | undefined): number {
    const askedMs = 1_000 * Math.min(MAX_RETRY_AFTER_SEC, (response && retryAfterSec(response)) ?? 0);
    const baseMs = misconfigured ? MISCONFIGURED_RETRY_MS : this.#backOffMs;
    this.#backOffMs = Math.min(BACK_OFF_MAX_MS, 2 * this.#backOffMs);
    return Math.round(Math.max(askedMs, baseMs * (0.75 + 0.25 * this.#dependencies.random())));
  }

  #again(delayMs: number): void {
    const era = this.#era;
    this.#cancelTimer = this.#dependencies.clock.after(delayMs, () => this.#attempt(era));
  }

  async #end(unbind: boolean): Promise<void> {
    this.#newEra();
    this.#state = 'ended';
    if (!unbind) return;
    await new Promise<void>((resolve) => {
      const cancelTimer = this.#dependencies.clock.after(UNREGISTER_TIMEOUT_MS, resolve);
      const done = (): void => {
        cancelTimer();
        resolve();
      };
      this.#register(0).then(done, done);
    });
  }

  #register(expiresSec: number): Promise<AuthenticatedResponse<OutsideResponse>> {
    const { registrar: uri, proxy } = this.settings;
    return this.#digest.request({ method: 'REGISTER', uri }, (credentials) => {
      const headers = { ...this.#headers(expiresSec), ...credentials };
      return this.#dependencies.send({ method: 'REGISTER', uri, headers, ...(proxy === undefined ? {} : { proxy }) });
    });
  }

  #headers(expiresSec: number): Record<string, string> {
    const { contactUser } = this.settings;
    const address = addressOfRecord(this.settings);
    return {
      From: `<${address}>;tag=${this.#tag}`,
      To: `<${address}>`,
      'Call-ID': this.#callId,
      CSeq: `${++this.#sequence} REGISTER`,
      Contact: `<sip:${contactUser}@localhost>;expires=${expiresSec}`,
      Expires: String(expiresSec),
    };
  }
}

/** Whether both have the same binding at the registrar, so that the second replaces the first one's by itself. */
export function isSameBinding(one: RegistrationSettings, other: RegistrationSettings): boolean {
  return one.registrar === other.registrar && one.user === other.user && one.contactUser === other.contactUser;
}

/** The address-of-record (RFC 3261 section 10.2): our user at the registrar's domain, without its port. */
export function addressOfRecord({ user, registrar }: Pick<RegistrationSettings, 'user' | 'registrar'>): string {
  const domain = /^sips?:(\[[^\]]*\]|[^:;?]*)/i.exec(registrar)?.[1] ?? '';
  return `sip:${user}@${domain}`;
}

/** A registrar's refusal in words. */
export function explain(response: OutsideResponse, refused: DigestRefusal | undefined): string {
  const { status, reason } = response;
  if (!isFromPeer(response)) return describeGenerated(status);
  if (refused === 'credentials') return `${status} ${reason}: user or password is wrong`;
  if (refused === 'weaker') {
    return `${status} ${reason}: it asks for a weaker authentication (algorithm, qop) than before, which is not answered until a restart`;
  }
  if (refused === 'challenge') return `${status} ${reason}: it asks for an authentication that is not supported`;
  return `${status} ${reason}`;
}
