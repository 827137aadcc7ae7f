import { DialogRates } from './dialog-rates.js';
import type { Dialog } from '../dialog/dialog.js';
import type { AgentLogger, AgentClock } from '../environment.js';
import type { Flow } from '../transport/flow.js';
import type { Envelope, SipRequest } from '../syntax/message.js';
import { aboutRefused } from './refused-request.js';
import { RequestRates } from './request-rates.js';
import { UnknownSources, type RefusedRequest } from './unknown-sources.js';
import type { RateVerdict } from './token-bucket.js';
import { replyStateless } from '../transaction/layer.js';
import type { UsageStore } from '../dialog/usage-store.js';
import { stampSource } from '../transport/via.js';

/** Why a request was turned away: for its source, for the name of what sent it, for coming too fast. */
export type FilterRefusal = 'forbidden' | 'scanners' | 'limited';

export interface RequestFilterOptions {
  readonly clock: AgentClock;
  readonly logger: AgentLogger;
  readonly usages: UsageStore;
  readonly allow: (address: string) => boolean;
  /** The name by which a User-Agent is turned away, if it is. */
  readonly scannerName: (userAgent: string) => string | undefined;
  /** Requests a second one source may send outside its calls. */
  readonly maxRequestsPerSec: number;
  /** Whether a request is a copy of one that still has its transaction. */
  readonly isRepetition: (request: SipRequest, envelope: Envelope) => boolean;
  /** The addresses of a URI's host; never rejects. */
  readonly addressesOf: (uri: string) => Promise<readonly string[]>;
  /** Takes a request up again that had to wait. */
  readonly again: (request: SipRequest, envelope: Envelope, flow: Flow) => void;
  readonly onRefused: (kind: FilterRefusal) => void;
}

/** A rate of a second or two ago is over soon. */
const RETRY_AFTER_SEC = '2';
/** Requests that wait for a name to be looked up; more of them are lost, and sent again. */
const MAX_WAITING = 64;

/** A reason to turn a source away: for the log, and in words for whoever is turned away. */
interface Objection {
  readonly kind: 'forbidden' | 'scanners';
  readonly log: RefusedRequest;
  readonly warning: string;
}

/** Which requests are worth a transaction. It refuses the others without one: they shall cost no memory. */
export class RequestFilter {
  readonly #unknownSources: UnknownSources;
  /** Who is let in, but not with such a User-Agent: what they send otherwise is not counted against them. */
  readonly #scanners: UnknownSources;
  readonly #rates: RequestRates;
  readonly #dialogRates: DialogRates;
  /** BYEs apart: what ends a call is worth more than what goes on in it. */
  readonly #byeRates: DialogRates;
  readonly #options: RequestFilterOptions;
  #waiting = 0;

  constructor(options: RequestFilterOptions) {
    const { clock, logger, maxRequestsPerSec } = options;
    this.#options = options;
    this.#unknownSources = new UnknownSources(clock, logger);
    this.#scanners = new UnknownSources(clock, logger);
    this.#rates = new RequestRates(maxRequestsPerSec, clock, logger);
    this.#dialogRates = new DialogRates(clock, logger);
    this.#byeRates = new DialogRates(clock, logger);
  }

  /** Requests refused because of their source, since the start. */
  get refused(): number {
    return this.#unknownSources.refused + this.#scanners.refused;
  }

  /** Requests of such sources that were not answered at all, since the start. */
  get ignored(): number {
    return this.#unknownSources.ignored + this.#scanners.ignored;
  }

  /** Requests that came too fast, since the start. */
  get limited(): number {
    return this.#rates.limited + this.#dialogRates.limited + this.#byeRates.limited;
  }

  /** False: the request has been dealt with, or is going to be. */
  admits(request: SipRequest, envelope: Envelope, flow: Flow): boolean {
    const { address } = flow.remote;
    const dialog = this.#options.usages.match(envelope)?.dialog;
    if (dialog?.peers.has(address) !== true && !this.#options.allow(address)) {
      return this.#admitsUnknown(request, envelope, flow, dialog);
    }
    // An ACK is never answered.
    if (request.method === 'ACK') return true;
    if (dialog) {
      const rates = request.method === 'BYE' ? this.#byeRates : this.#dialogRates;
      return this.#admitsAtRate(rates.judge(dialog, address), request, envelope, flow);
    }
    const name = envelope.to.tag === undefined ? this.#scannerName(request) : undefined;
    if (name !== undefined) return this.#reject(request, envelope, flow, scannerNamed(name));
    return this.#admitsAtRate(this.#rates.judge(address), request, envelope, flow);
  }

  /** Whether something malformed is to be answered. */
  answersMalformed(address: string): boolean {
    return this.#options.allow(address) && this.#rates.judge(address) === 'take';
  }

  close(): void {
    this.#unknownSources.close();
    this.#scanners.close();
  }

  #admitsUnknown(request: SipRequest, envelope: Envelope, flow: Flow, dialog: Dialog | undefined): boolean {
    if (dialog?.peers.hasNames === true) {
      this.#resolvePeers(request, envelope, flow, dialog);
      return false;
    }
    if (request.method === 'ACK') return false;
    // Its dialog may be over, but for the answer that was lost.
    if (!dialog && envelope.to.tag !== undefined && this.#options.isRepetition(request, envelope)) return true;
    const { address } = flow.remote;
    return this.#reject(request, envelope, flow, dialog ? notInCall(dialog, address) : notAllowed(address));
  }

  /** The peers of a dialog may be known by name: then their addresses are found out before anybody is turned away. */
  #resolvePeers(request: SipRequest, envelope: Envelope, flow: Flow, { peers }: Dialog): void {
    const { addressesOf, again } = this.#options;
    if (this.#waiting >= MAX_WAITING) return;
    this.#waiting += 1;
    void peers.lookUp(addressesOf).then(() => {
      this.#waiting -= 1;
      again(request, envelope, flow);
    });
  }

  #scannerName(request: SipRequest): string | undefined {
    const userAgent = request.get('user-agent');
    return userAgent === undefined ? undefined : this.#options.scannerName(userAgent);
  }

  #reject(request: SipRequest, envelope: Envelope, flow: Flow, { kind, log, warning }: Objection): false {
    const sources = kind === 'scanners' ? this.#scanners : this.#unknownSources;
    const verdict = sources.judge(flow.remote.address, () => aboutRefused(request, envelope, log));
    this.#options.onRefused(kind);
    if (verdict === 'refuse') {
      refuse(request, envelope, flow, 403, ['warning', `399 pranthora-sip-bridge "${warning}"`]);
    }
    return false;
  }

  #admitsAtRate(verdict: RateVerdict, request: SipRequest, envelope: Envelope, flow: Flow): boolean {
    if (verdict === 'take') return true;
    this.#options.onRefused('limited');
    if (verdict === 'refuse') refuse(request, envelope, flow, 503, ['retry-after', RETRY_AFTER_SEC]);
    return false;
  }
}

function notAllowed(address: string): Objection {
  return {
    kind: 'forbidden',
    log: { setting: 'sip.allow', reason: 'its address is not in sip.allow' },
    warning: `${address} is not in sip.allow`,
  };
}

function notInCall({ callId }: Dialog, address: string): Objection {
  return {
    kind: 'forbidden',
    log: { setting: 'sip.allow', callId, reason: 'its address is not in sip.allow and has no part in this call' },
    warning: `${address} is not in sip.allow and has no part in this call`,
  };
}

function scannerNamed(name: string): Objection {
  return {
    kind: 'scanners',
    log: { setting: 'sip.scanners', reason: `its User-Agent has the name ${name}, which is in sip.scanners` },
    warning: 'this User-Agent is in sip.scanners',
  };
}

function refuse(
  request: SipRequest,
  envelope: Envelope,
  flow: Flow,
  status: number,
  header?: readonly [name: string, value: string],
): void {
  stampSource(request, envelope.via, flow.remote);
  replyStateless(request, envelope, flow, status, header);
}
