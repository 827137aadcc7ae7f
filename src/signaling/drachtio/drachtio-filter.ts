import type { SourceObjection } from './dialog-gate.js';
import type { IncomingInvite } from '../sip-endpoint.js';
import type { SrfRequest } from './srf-types.js';
import { plainCallId } from './srf-wire.js';

const MAX_AGENT_LENGTH = 64;

/** Remembers the sources that were refused, and logs each of them once. */
interface UnwantedSources {
  judge(address: string, describe: () => Record<string, unknown>): 'refuse' | 'ignore';
}

export interface DrachtioFilterOptions {
  /** `sip.allow`, and registrars. */
  readonly isKnown: (address: string) => boolean;
  /** `sip.scanners`: the name by which a User-Agent is refused. */
  readonly scannerName: (userAgent: string) => string | undefined;
  readonly unknownSources: UnwantedSources;
  readonly scanners: UnwantedSources;
  readonly onRefused: (kind: 'forbidden' | 'scanners') => void;
}

/**
 * The request filter for drachtio-server: it refuses what the embedded agent's own filter refuses. drachtio-server keeps a
 * transaction until it is answered, so that no request can be ignored silently: each gets its 403.
 */
export class DrachtioFilter {
  readonly #options: DrachtioFilterOptions;

  constructor(options: DrachtioFilterOptions) {
    this.#options = options;
  }

  /** Whether an unknown source has been refused so often that its INVITE gets a bare 403, with no record of a call. */
  isBanned(invite: IncomingInvite): boolean {
    const why = { setting: 'sip.allow', reason: 'its address is not in sip.allow' };
    this.#options.onRefused('forbidden');
    return this.#options.unknownSources.judge(invite.source.address, () => aboutInvite(invite, why)) === 'ignore';
  }

  /** Why an INVITE is refused for its User-Agent; undefined when it is not. */
  objection(invite: IncomingInvite): string | undefined {
    const { scannerName, scanners, onRefused } = this.#options;
    const name = scannerName(invite.header('User-Agent') ?? '');
    if (name === undefined) return undefined;
    const reason = `its User-Agent has the name ${name}, which is in sip.scanners`;
    scanners.judge(invite.source.address, () => aboutInvite(invite, { setting: 'sip.scanners', reason }));
    onRefused('scanners');
    return 'this User-Agent is in sip.scanners';
  }

  /** Why a request in a dialog is refused whose source is not part of that dialog. */
  readonly objectionInDialog: SourceObjection = (request: SrfRequest) => {
    const { isKnown, unknownSources, onRefused } = this.#options;
    const { source_address: address, method } = request;
    if (isKnown(address)) return undefined;
    const reason = 'its address is not in sip.allow and has no part in this call';
    const callId = plainCallId(request.get('Call-ID') ?? '');
    unknownSources.judge(address, () => ({ method, setting: 'sip.allow', callId, reason }));
    onRefused('forbidden');
    return `${address} is not in sip.allow and has no part in this call`;
  };
}

function aboutInvite(invite: IncomingInvite, why: Record<string, string>): Record<string, unknown> {
  const userAgent = invite.header('User-Agent')?.slice(0, MAX_AGENT_LENGTH);
  const { from, requestUri } = invite;
  return { method: 'INVITE', from: from.user, did: requestUri.user, ...(userAgent && { userAgent }), ...why };
}
