import type { StrangerObjection } from './dialog-gate.js';
import type { IncomingInvite } from '../sip-endpoint.js';
import type { SrfRequest } from './srf-types.js';
import { plainCallId } from './srf-wire.js';

const MAX_AGENT_LENGTH = 64;

/** Remembers who has been turned away, and tells the log of each once. */
export interface UnwantedSources {
  judge(address: string, describe: () => Record<string, unknown>): 'refuse' | 'ignore';
}

export interface DrachtioFilterOptions {
  /** `sip.allow`, and registrars. */
  readonly isKnown: (address: string) => boolean;
  /** `sip.scanners`: the name by which a User-Agent is refused. */
  readonly scannerName: (userAgent: string) => string | undefined;
  readonly strangers: UnwantedSources;
  readonly scanners: UnwantedSources;
  readonly onRefused: (kind: 'forbidden' | 'scanners') => void;
}

/**
 * What the embedded agent turns away by itself, turned away behind drachtio-server. That one keeps a transaction until it
 * is answered, so that silence is not to be had: each gets its 403.
 */
export class DrachtioFilter {
  readonly #options: DrachtioFilterOptions;

  constructor(options: DrachtioFilterOptions) {
    this.#options = options;
  }

  /** Whether a stranger has been refused often enough to be worth no more than its 403. */
  isBanned(invite: IncomingInvite): boolean {
    const why = { setting: 'sip.allow', reason: 'its address is not in sip.allow' };
    this.#options.onRefused('forbidden');
    return this.#options.strangers.judge(invite.source.address, () => aboutInvite(invite, why)) === 'ignore';
  }

  /** Why an INVITE is refused for the name of what sent it. */
  objection(invite: IncomingInvite): string | undefined {
    const { scannerName, scanners, onRefused } = this.#options;
    const name = scannerName(invite.header('User-Agent') ?? '');
    if (name === undefined) return undefined;
    const reason = `its User-Agent has the name ${name}, which is in sip.scanners`;
    scanners.judge(invite.source.address, () => aboutInvite(invite, { setting: 'sip.scanners', reason }));
    onRefused('scanners');
    return 'this User-Agent is in sip.scanners';
  }

  /** Why a request in a dialog is refused whose source has had no part in it. */
  readonly strangerInDialog: StrangerObjection = (request: SrfRequest) => {
    const { isKnown, strangers, onRefused } = this.#options;
    const { source_address: address, method } = request;
    if (isKnown(address)) return undefined;
    const reason = 'its address is not in sip.allow and has no part in this call';
    const callId = plainCallId(request.get('Call-ID') ?? '');
    strangers.judge(address, () => ({ method, setting: 'sip.allow', callId, reason }));
    onRefused('forbidden');
    return `${address} is not in sip.allow and has no part in this call`;
  };
}

function aboutInvite(invite: IncomingInvite, why: Record<string, string>): Record<string, unknown> {
  const userAgent = invite.header('User-Agent')?.slice(0, MAX_AGENT_LENGTH);
  const { from, requestUri } = invite;
  return { method: 'INVITE', from: from.user, did: requestUri.user, ...(userAgent && { userAgent }), ...why };
}
