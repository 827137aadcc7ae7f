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

/** Why a request was refused: its source, its User-Agent, or its rate. */
export type FilterRefusal = 'forbidden' | 'scanners' | 'limited';

export interface RequestFilterOptions {
  readonly clock: AgentClock;
  readonly logger: AgentLogger;
  readonly usages: UsageStore;
  readonly allow: (address: string) => boolean;
  /** The scanner name that a User-Agent matches; undefined when it matches none. */
  readonly scannerName: (userAgent: string) => string | undefined;
  /** Requests a second that one source may send outside its calls. */
  readonly maxRequestsPerSec: number;
  /** Whether a request is a retransmission of one that still has its transaction. */
  readonly isRepetition: (request: SipRequest, envelope: Envelope) => boolean;
  /** The addresses of a URI's host; never rejects. */
  readonly addressesOf: (uri: string) => Promise<readonly string[]>;
  /** Handles a request again that had to wait for a lookup. */
  readonly again: (request: SipRequest, envelope: Envelope, flow: Flow) => void;
  readonly onRefused: (kind: FilterRefusal) => void;
}

/** A burst is over within a second or two. */
const RETRY_AFTER_SEC = '2';
/** Requests that may wait for a name lookup; further ones are dropped, and the peer retransmits them. */
const MAX_WAITING = 64;

/** Why a source is refused: the fields for the log, and the Warning text for the peer. */
interface Objection {
  readonly kind: 'forbidden' | 'scanners';
  readonly log: RefusedRequest;
  readonly warning: string;
}

/**
 * Request filter: decides which requests get a transaction. The others are refused statelessly, so that they cost no
 * memory.
 */
export class RequestFilter {
  readonly #unknownSources: UnknownSources;
  /** Allowed sources that sent a scanner's User-Agent; their other requests are accepted. */
  readonly #scanners: UnknownSources;
  readonly #rates: RequestRates;
  readonly #dialogRates: DialogRates;
  /** BYEs have a limit of their own, so that other requests cannot keep a call from ending. */
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

  /** Requests refused for their source or User-Agent, since the start. */
  get refused(): number {
    return this.#unknownSources.refused + this.#scanners.refused;
  }

  /** Requests of such sources that got no response, since the start. */
  get ignored(): number {
    return this.#unknownSources.ignored + this.#scanners.ignored;
  }

  /** Requests beyond a rate limit, since the start. */
  get limited(): number {
    return this.#rates.limited + this.#dialogRates.limited + this.#byeRates.limited;
  }

  /** False: the request was refused or dropped, or waits for a lookup. */
  admits(request: SipRequest, envelope: Envelope, flow: Flow): boolean {
    const { address } = flow.remote;
    const dialog = this.#options.usages.match(envelope)?.dialog;
    if (dialog?.peers.has(address) !== true && !this.#options.allow(address)) {
      return this.#admitsUnknown(request, envelope, flow, dialog);
    }
    // An ACK is never answered, so it has no rate limit.
    if (request.method === 'ACK') return true;
    if (dialog) {
      const rates = request.method === 'BYE' ? this.#byeRates : this.#dialogRates;
      return this.#admitsAtRate(rates.judge(dialog, address), request, envelope, flow);
    }
    const name = envelope.to.tag === undefined ? this.#scannerName(request) : undefined;
    if (name !== undefined) return this.#reject(request, envelope, flow, scannerNamed(name));
    return this.#admitsAtRate(this.#rates.judge(address), request, envelope, flow);
  }

  /** Whether a malformed request is to be answered. */
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
    // The dialog may have ended, and the response to this request been lost.
    if (!dialog && envelope.to.tag !== undefined && this.#options.isRepetition(request, envelope)) return true;
    const { address } = flow.remote;
    return this.#reject(request, envelope, flow, dialog ? notInCall(dialog, address) : notAllowed(address));
  }

  /** The route set of a dialog may hold host names: these are looked up before its request is refused. */
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
