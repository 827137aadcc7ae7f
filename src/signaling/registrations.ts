import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import type { DigestClient } from './digest-client.js';
import type { OutsideRequest, OutsideResponse } from './outside-request.js';
import {
  isSameBinding,
  Registration,
  type RegistrationFailure,
  type RegistrationSettings,
  type RegistrationStatus,
} from './registration.js';
import type { IncomingInvite } from './sip-endpoint.js';

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
  /** URI of who was dialled: the Request-URI of such a call is our own Contact. */
  readonly dialled: string;
  /** For when the registrar challenges what we send in the call; absent where it has never asked for a password. */
  readonly digest?: DigestClient;
}

/** The registrations of a bridge: kept up while the SIP server can be reached, replaced by a reload, taken back at the end. */
export class Registrations {
  readonly #options: RegistrationsOptions;
  #registrations: readonly Registration[] = [];
  #connected = false;
  #closed: Promise<void> | undefined;

  constructor(options: RegistrationsOptions) {
    this.#options = options;
  }

  /** From now on these and no others. Those that stay as they are, are not touched. */
  configure(wanted: readonly RegistrationSettings[]): void {
    if (this.#closed) return;
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

  /** Whether a registrar that has us bound answers from that address. */
  isRegistrar(address: string): boolean {
    return this.#registrations.some((registration) => registration.isFrom(address));
  }

  /** The registration a call came over: addressed to our Contact there, and sent by the registrar. */
  arrivalOf(invite: IncomingInvite): RegistrationArrival | undefined {
    const found = this.#registrations.find(
      (each) => each.settings.contactUser === invite.requestUri.user && each.isFrom(invite.source.address),
    );
    if (!found) return undefined;
    const digest = found.digestForCall();
    return { registration: found.settings.name, dialled: dialledUri(invite), ...(digest && { digest }) };
  }

  status(): RegistrationStatus[] {
    return this.#registrations.map((registration) => registration.status());
  }

  /** Takes every binding back, and waits a little for it. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= Promise.all(this.#registrations.map((each) => each.stop({ unbind: true }))).then(() => undefined);
    return this.#closed;
  }

  #make(settings: RegistrationSettings): Registration {
    const { clock, logger, random, send } = this.#options;
    const about = { registration: settings.name, registrar: settings.registrar, user: settings.user };
    return new Registration(settings, {
      ...{ clock, random, send },
      onRegistered: (expiresSec) => {
        logger.info({ event: 'sip.registered', ...about, expiresSec });
      },
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

/**
 * Who was dialled: the P-Called-Party-ID where a proxy put it (RFC 7315 section 4.2), else the To, which proxies leave
 * alone.
 */
function dialledUri(invite: IncomingInvite): string {
  const header = invite.header('P-Called-Party-ID');
  const calledParty = header === undefined ? undefined : /^[^<]{0,256}<([^<>]{1,256})>/.exec(header)?.[1];
  if (calledParty !== undefined) return calledParty;
  return invite.to.user === '' ? invite.requestUri.uri : invite.to.uri;
}

function isSame(one: RegistrationSettings, other: RegistrationSettings): boolean {
  return JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(other).sort());
}
