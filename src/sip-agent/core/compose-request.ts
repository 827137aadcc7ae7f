import { isSips, ownContact, replacePlaceholder, takeFromClient } from '../wire/client-headers.js';
import type { Dialog } from '../dialog/dialog.js';
import type { Flow } from '../transport/flow.js';
import { formatNameAddr, parseCSeq, parseNameAddr } from '../syntax/headers.js';
import { newCallId, newSequenceNumber, newTag } from '../syntax/identifiers.js';
import { SipRequest } from '../syntax/message.js';
import { refreshesTarget } from '../syntax/methods.js';

/** A request composed from a client's, with its tag and sequence number. */
export interface ComposedRequest {
  readonly request: SipRequest;
  readonly localTag: string;
  readonly sequence: number;
}

/**
 * Composes a request outside a dialog and adds the header fields that the client left out (RFC 3261 section 8.1.1). Throws an
 * Error that names the fault when the client's request is invalid.
 */
export function composeOutside(given: SipRequest, flow: Flow): ComposedRequest {
  const request = new SipRequest(given.method, given.uri);
  const sequence = givenSequence(given) ?? newSequenceNumber();
  const from = composeFrom(given, flow);
  const to = replacePlaceholder(given.get('to') ?? `<${given.uri}>`, flow.local);
  request.add('max-forwards', '70').add('from', from.value).add('to', to);
  request.add('call-id', given.get('call-id') ?? newCallId()).add('cseq', `${sequence} ${given.method}`);
  takeFromClient(request, given, flow);
  if (refreshesTarget(given.method) && !request.has('contact')) {
    request.add('contact', ownContact(flow, isSips(given.uri)));
  }
  return { request, localTag: from.tag, sequence };
}

/** Composes a request inside a dialog. Throws an Error as above. */
export function composeInside(dialog: Dialog, given: SipRequest, sequence = givenSequence(given)): SipRequest {
  const request = dialog.request(given.method, sequence);
  takeFromClient(request, given, dialog.flow);
  if (refreshesTarget(given.method) && !request.has('contact')) request.add('contact', dialog.contact);
  return request;
}

function composeFrom(given: SipRequest, flow: Flow): { readonly value: string; readonly tag: string } {
  const value = replacePlaceholder(given.get('from') ?? ownContact(flow), flow.local);
  const address = parseNameAddr(value);
  if (!address) throw new Error('invalid From');
  if (address.tag !== undefined) return { value, tag: address.tag };
  const tag = newTag();
  return { value: formatNameAddr({ ...address, params: new Map([...address.params, ['tag', tag]]) }), tag };
}

/** The CSeq number of the client's request: a client that answers a challenge counts itself. */
function givenSequence(given: SipRequest): number | undefined {
  const value = given.get('cseq');
  return value === undefined ? undefined : parseCSeq(value)?.number;
}
