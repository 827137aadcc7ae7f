import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../../clock.js';
import type { Logger } from '../../logger.js';
import type { DigestClient } from '../auth/digest-client.js';
import { readNameAddr, splitValues } from '../name-addr.js';
import type { OutsideRequest, OutsideResponse } from '../drachtio/outside-request.js';
import {
  addressOfRecord,
  isSameBinding,
  Registration,
  type RegistrationFailure,
  type RegistrationSettings,
  type RegistrationStatus,
} from './registration.js';
import { userOf } from './registration-bindings.js';
import type { IncomingInvite, SipAddress } from '../sip-endpoint.js';

/** Unguessable bytes in the user part of our Contact. */
const CONTACT_BYTES = 12;
/**
 * For each registration at most one log line in this time about calls that are not for our Contact: their source may be
 * forged.
 */
const UNMATCHED_LINE_INTERVAL_MS = 10 * 60_000;

/** A registration as configured: without a `contactUser`, one is generated. */
export type WantedRegistration = Omit<RegistrationSettings, 'contactUser'> & { readonly contactUser?: string };

export interface RegistrationsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** In [0, 1). */
  readonly random: () => number;
  /** See `DrachtioSipEndpoint.send`. */
  readonly send: (request: OutsideRequest) => Promise<OutsideResponse>;
}

/** A call that came over a registration. */
export interface RegistrationArrival {
  readonly registration: string;
  /** The URI that was dialled; the Request-URI of such a call is our own Contact. */
  readonly dialled: string;
  /** Replaces a To that has our secret Contact: the registered user. */
  readonly to?: SipAddress;
  /** Credentials for challenges to our requests in the call; absent when the registrar never sent a challenge. */
  readonly digest?: DigestClient;
}

/**
 * The registrations of a bridge: kept while the SIP server can be reached, replaced by a reload, removed at the end.
 *
 * An INVITE that comes over a registration is not challenged, and its source address may be forged. It is recognised by the
 * user part of our Contact, a secret that only the registrar knows.
 */
export class Registrations {
  readonly #options: RegistrationsOptions;
  readonly #contactKey = randomBytes(32);
  #unmatchedLoggedMs = new WeakMap<Registration, number>();
  #registrations: readonly Registration[] = [];
  #connected = false;
  #closed: Promise<void> | undefined;

  constructor(options: RegistrationsOptions) {
    this.#options = options;
  }

  /** Replaces the registrations. Unchanged ones are not touched. */
  configure(configured: readonly WantedRegistration[]): void {
    if (this.#closed) return;
    const wanted = configured.map((each) => ({ ...each, contactUser: each.contactUser ?? this.#secretContact(each) }));
    const kept = this.#registrations.filter(({ settings }) => wanted.some((each) => isSame(each, settings)));
    const added = wanted
      .filter((each) => !kept.some(({ settings }) => isSame(each, settings)))
      .map((each) => this.#make(each));
    for (const old of this.#registrations) {
      if (kept.includes(old)) continue;
      void old.stop({ unbind: !added.some(({ settings }) => isSameBinding(settings, old.settings)) });
    }
    this.#registrations = [...kept, ...added];
    if (this.#connected) for (const registration of added) registration.begin();
  }

  /** The SIP server can be reached, or not. */
  onConnection(connected: boolean): void {
    this.#connected = connected;
    for (const registration of this.#registrations) {
      if (connected) registration.begin();
      else registration.pause();
    }
  }

  /** Whether a registrar with a valid binding of ours answers from that address. */
  isRegistrar(address: string): boolean {
    return this.#registrations.some((registration) => registration.isFrom(address));
  }

  /** The registration a call came over: its Request-URI is our Contact there, and its source is the registrar. */
  arrivalOf(invite: IncomingInvite): RegistrationArrival | undefined {
    const found = this.#registrations.find(
      (each) => each.settings.contactUser === invite.requestUri.user && each.isFrom(invite.source.address),
    );
    if (!found) return undefined;
    const { settings } = found;
    const digest = found.digestForCall();
    const isHidden = this.#isSecret(settings) && userOf(invite.to.uri) === settings.contactUser;
    return {
      ...{ registration: settings.name, dialled: this.#dialledUri(invite, found) },
      ...(isHidden && { to: { uri: addressOfRecord(settings), user: settings.user } }),
      ...(digest && { digest }),
    };
  }

  /**
   * An INVITE that came over no registration is about to be refused. If its source is a registrar, the log says what to set
   * for a registrar that rewrites our Contact.
   */
  onUnmatched(invite: IncomingInvite): void {
    const { source, requestUri, callId } = invite;
    const fromThere = this.#registrations.filter((each) => each.isFrom(source.address));
    const registration = fromThere.find(({ settings }) => settings.user === requestUri.user) ?? fromThere[0];
    if (!registration) return;
    const { clock, logger } = this.#options;
    const toldMs = this.#unmatchedLoggedMs.get(registration) ?? -Infinity;
    if (clock.nowMs() - toldMs < UNMATCHED_LINE_INTERVAL_MS) return;
    this.#unmatchedLoggedMs.set(registration, clock.nowMs());
    logger.warn(
      {
        ...{ event: 'sip.registration_unmatched', callId, address: source.address },
        ...{ registration: registration.settings.name, to: requestUri.user.slice(0, 64) },
      },
      'an INVITE from the registrar is not for our Contact: if it is not forged, set contactUser of this registration to the ' +
        'user it is for or, where that changes from call to call, add the address to sip.allow',
    );
  }

  status(): RegistrationStatus[] {
    return this.#registrations.map((registration) => registration.status());
  }

  /** Removes every binding, and waits up to 2 s for that. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= Promise.all(this.#registrations.map((each) => each.stop({ unbind: true }))).then(() => undefined);
    return this.#closed;
  }

  /**
   * The URI that was dialled: the P-Called-Party-ID of a proxy (RFC 7315 section 4.2), else the To, which proxies do not
   * change. A PBX that calls our Contact itself has it in the To: then the registered user was dialled.
   */
  #dialledUri(invite: IncomingInvite, { settings }: Registration): string {
    const candidates = [calledParty(invite), invite.to.user === '' ? undefined : invite.to.uri];
    if (!this.#isSecret(settings)) return candidates.find(isGiven) ?? invite.requestUri.uri;
    const named = candidates.find((uri) => isGiven(uri) && userOf(uri) !== settings.contactUser);
    return named ?? addressOfRecord(settings);
  }

  /** Whether the Contact user was generated, not configured. */
  #isSecret(settings: RegistrationSettings): boolean {
    return settings.contactUser === this.#secretContact(settings);
  }

  /** The generated Contact user: the same for one user at one registrar while the process lives. */
  #secretContact({ registrar, user }: WantedRegistration): string {
    const digest = createHmac('sha256', this.#contactKey).update(`${registrar}\n${user}`).digest();
    return `b${digest.toString('hex', 0, CONTACT_BYTES)}`;
  }

  #make(settings: RegistrationSettings): Registration {
    const { clock, logger, random, send } = this.#options;
    const about = { registration: settings.name, registrar: settings.registrar, user: settings.user };
    return new Registration(settings, {
      ...{ clock, random, send },
      onRegistered: (expiresSec) => logger.info({ event: 'sip.registered', ...about, expiresSec }),
      onFailed: (failure) => {
        const { log, message } = reportOf(failure);
        const { status, reason, retryAfterMs } = failure;
        logger[log]({ event: 'sip.registration_failed', ...about, status, reason, retryAfterMs }, message);
      },
    });
  }
}

function reportOf({ misconfigured }: RegistrationFailure): { log: 'warn' | 'error'; message: string } {
  if (!misconfigured) return { log: 'warn', message: 'not registered, trying again' };
  return { log: 'error', message: 'not registered: check this registration in the configuration and at the registrar' };
}

function calledParty(invite: IncomingInvite): string | undefined {
  const [value = ''] = splitValues(invite.header('P-Called-Party-ID') ?? '');
  const { uri } = readNameAddr(value);
  return /^(?:sips?|tel):[^<>]{1,256}$/i.test(uri) ? uri : undefined;
}

function isGiven(uri: string | undefined): uri is string {
  return uri !== undefined;
}

function isSame(one: RegistrationSettings, other: RegistrationSettings): boolean {
  return JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(other).sort());
}
