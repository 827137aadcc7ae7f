import type { Clock } from '../../clock.js';
import type { SrfInstance, SrfResponse } from './srf-types.js';
import { asError } from '../../error-text.js';
import { owned } from '../text.js';

/** A request outside any dialog, other than INVITE. */
export interface OutsideRequest {
  readonly method: string;
  /** Request-URI. */
  readonly uri: string;
  /** The next hop as a SIP URI, when it is not where the Request-URI leads. */
  readonly proxy?: string;
  /** `@localhost` in a Contact stands for our own address. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The final response to it. */
export interface OutsideResponse {
  readonly status: number;
  readonly reason: string;
  /** The IP address it came from. */
  readonly sourceAddress: string;
  /** Contact of the request as it went out. */
  readonly sentContact: string | undefined;
  /** A header; the values of several fields of that name stand in one, separated by commas. */
  get(name: string): string | undefined;
}

/** Timer F (RFC 3261 section 17.1.2.2) and a margin: a request sent before the server went away never gets a response. */
const RESPONSE_TIMEOUT_MS = 34_000;

/** Sends the request; resolves to its final response. Rejects when it could not be sent or nothing came back. */
export function sendOutside(srf: SrfInstance, request: OutsideRequest, clock: Clock): Promise<OutsideResponse> {
  const { method, uri, proxy, headers } = request;
  return new Promise((resolve, reject) => {
    const cancelTimer = clock.after(RESPONSE_TIMEOUT_MS, () => reject(new Error('no response')));
    const fail = (error: unknown): void => {
      cancelTimer();
      reject(asError(error));
    };
    try {
      // drachtio-srf writes into the headers it is given.
      const options = { method, headers: { ...headers }, ...(proxy === undefined ? {} : { proxy }) };
      srf.request(uri, options, (error, sent) => {
        if (!sent) {
          fail(error ?? 'not sent');
          return;
        }
        sent.on('response', (response: SrfResponse) => {
          if (response.status < 200) return;
          cancelTimer();
          resolve(outsideResponse(response, sent.get('Contact')));
        });
      });
    } catch (error) {
      // Without a connection drachtio-srf throws instead of calling back.
      fail(error);
    }
  });
}

function outsideResponse(response: SrfResponse, sentContact: string | undefined): OutsideResponse {
  const { status, reason } = response;
  const get = (name: string) => {
    const value = response.get(name);
    return value === undefined ? undefined : owned(value);
  };
  return { status, reason: owned(reason), sourceAddress: owned(response.source_address), sentContact, get };
}
