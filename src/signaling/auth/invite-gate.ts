import type { InboundAuth } from './inbound-auth.js';
import type { RegistrationArrival, Registrations } from '../registration/registrations.js';
import type { IncomingInvite } from '../sip-endpoint.js';

export interface InviteGateOptions {
  /** `sip.allow`. */
  readonly allow: (address: string) => boolean;
  readonly registrations: Registrations;
  readonly auth: InboundAuth;
  /** Why an INVITE is refused for its User-Agent; undefined when it is not. A refusal is logged and counted. */
  readonly objection: (invite: IncomingInvite) => string | undefined;
  /** Whether an unknown source has been refused so often that its INVITE gets a bare 403, with no record of a call. */
  readonly isBanned: (invite: IncomingInvite) => boolean;
  /**
   * `arrival`: the INVITE came over a registration. An INVITE of an unknown source is passed on too, to be refused and
   * recorded.
   */
  readonly next: (invite: IncomingInvite, arrival: RegistrationArrival | undefined) => void;
}

/** The checks before an INVITE becomes a call: its source, its User-Agent and, where configured, its credentials. */
export class InviteGate {
  readonly #options: InviteGateOptions;

  constructor(options: InviteGateOptions) {
    this.#options = options;
  }

  onInvite(invite: IncomingInvite): void {
    const { registrations, allow, next } = this.#options;
    const arrival = registrations.arrivalOf(invite);
    invite.digest = arrival?.digest;
    if (arrival?.to) invite.to = arrival.to;
    // A registrar is not challenged: it authenticates us, not the other way round.
    if (arrival) next(invite, arrival);
    else if (allow(invite.source.address)) this.#examine(invite);
    else this.#refuse(invite);
  }

  #refuse(invite: IncomingInvite): void {
    this.#options.registrations.onUnmatched(invite);
    if (this.#options.isBanned(invite)) invite.reject({ status: 403 });
    else this.#options.next(invite, undefined);
  }

  #examine(invite: IncomingInvite): void {
    const warning = this.#options.objection(invite);
    if (warning === undefined) this.#authenticate(invite);
    else invite.reject({ status: 403, warning });
  }

  #authenticate(invite: IncomingInvite): void {
    const judged = this.#options.auth.judge(invite);
    if (judged?.verdict === 'challenged') invite.reject({ status: 401, challenges: judged.challenges });
    else if (judged?.verdict === 'refused') invite.reject({ status: 403, retryAfterSec: judged.retryAfterSec });
    else this.#options.next(invite, undefined);
  }
}
