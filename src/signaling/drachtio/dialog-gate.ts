import { ACCEPT } from '../session-body.js';
import type { SrfDialog, SrfRequest, SrfResponse } from './srf-types.js';
import { quotable } from '../text.js';

/** What we serve in a call, as the embedded agent's Allow has it too. */
export const ALLOW = 'INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY';
/** Methods that drachtio-srf would accept with a 200 in a dialog although this bridge does nothing about them. */
const REFUSED: ReadonlySet<string> = new Set(['REFER', 'MESSAGE', 'SUBSCRIBE', 'PUBLISH', 'REGISTER']);
/** Addresses remembered of one dialog. */
const MAX_PEERS = 16;

/**
 * Why a request in a dialog is refused that comes from an address which is not part of that dialog, in words; undefined
 * when the request is accepted all the same. A refusal is logged and counted.
 */
export type SourceObjection = (request: SrfRequest) => string | undefined;

/**
 * Filters the requests of one dialog before drachtio-srf sees them: methods that are not served get 405, and where
 * `objection` is given, a request from an address that is not part of the dialog gets 403. This way even a BYE can be
 * refused, which drachtio-srf would answer by itself.
 */
export function guardDialog(dialog: SrfDialog, objection: SourceObjection | undefined): void {
  const handle = dialog.handle.bind(dialog);
  const gate = objection && new SourceGate(dialog, objection);
  dialog.handle = (request, response) => {
    const warning = gate?.refusal(request);
    if (warning !== undefined) refuse(request, response, 403, { Warning: `399 pranthora-sip-bridge "${warning}"` });
    else if (REFUSED.has(request.method)) refuse(request, response, 405, { Allow: ALLOW });
    else if (request.method === 'OPTIONS') response.send(200, { headers: { Allow: ALLOW, Accept: ACCEPT } });
    else handle(request, response);
  };
}

/** An ACK has no response: a refused one is dropped. */
function refuse(request: SrfRequest, response: SrfResponse, status: number, headers: Record<string, string>): void {
  if (request.method !== 'ACK') response.send(status, { headers });
}

/** The addresses that are part of a dialog: the source of the peer's messages, and the hosts of Contact and Record-Route. */
class SourceGate {
  readonly #peers = new Set<string>();
  readonly #objection: SourceObjection;

  constructor({ type, req, res }: SrfDialog, objection: SourceObjection) {
    this.#objection = objection;
    const first = type === 'uas' ? req : res;
    this.#add(first.source_address);
    for (const name of ['Contact', 'Record-Route']) this.#addHosts(first.get(name));
  }

  /** Undefined when the request is the peer's, or the SIP server's own. */
  refusal(request: SrfRequest): string | undefined {
    if (request.source !== 'network') return undefined;
    if (!this.#peers.has(plain(request.source_address))) {
      const why = this.#objection(request);
      if (why !== undefined) return quotable(why);
    }
    this.#add(request.source_address);
    this.#addHosts(request.get('Contact'));
    return undefined;
  }

  #add(address: string): void {
    if (this.#peers.size < MAX_PEERS) this.#peers.add(plain(address));
  }

  #addHosts(header: string | undefined): void {
    for (const [, host = ''] of header?.matchAll(HOST) ?? []) this.#add(host.replace(/^\[|\]$/g, ''));
  }
}

/** The host of each SIP URI in a header. */
const HOST = /sips?:(?:[^@<>;,]{0,256}@)?(\[[^\]]{1,64}\]|[^:;<>?,\s]{1,256})/gi;

/** An IPv4 address that is mapped into IPv6 is the IPv4 one. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '').toLowerCase();
}
