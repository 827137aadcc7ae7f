import type { InboundAuth } from './inbound-auth.js';
import type { RegistrationArrival, Registrations } from '../registration/registrations.js';
import type { IncomingInvite } from '../sip-endpoint.js';

export interface InviteGateOptions {
  /** `sip.allow`. */
  readonly allow: (address: string) => boolean;
  readonly registrations: Registrations;
  readonly auth: InboundAuth;
  /** Why an INVITE is refused for what sent it, in words; undefined when it is not. Takes note of it. */
  readonly objection: (invite: IncomingInvite) => string | undefined;
  /** Whether a stranger has been refused often enough to be worth no more than its 403. */
  readonly isBanned: (invite: IncomingInvite) => boolean;
  /** `arrival`: the INVITE came over a registration. One of a stranger is passed on as well, to be refused and recorded. */
  readonly next: (invite: IncomingInvite, arrival: RegistrationArrival | undefined) => void;
}

/** What an INVITE has to pass before it is a call: who sends it, and when asked for, the proof. */
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
    // A registrar cannot be asked for a password: it is we who have shown it ours.
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
