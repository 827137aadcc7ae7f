import { randomBytes } from 'node:crypto';
import { DigestClient } from '../auth/digest-client.js';
import type { OutsideRequest, OutsideResponse } from '../drachtio/outside-request.js';
import { errorText } from '../../error-text.js';
import { addressOfRecord, explain, type RegistrationSettings } from './registration.js';

/**
 * Fetches the bindings by a REGISTER without a Contact (RFC 3261 section 10.2.3), which changes none: it shows whether the
 * registrar can be reached and accepts our credentials. Never rejects; `detail` is the registrar's answer.
 */
export async function fetchBindings(
  settings: Pick<RegistrationSettings, 'registrar' | 'user' | 'authUser' | 'password' | 'proxy'>,
  send: (request: OutsideRequest) => Promise<OutsideResponse>,
): Promise<{ readonly level: 'ok' | 'FAIL'; readonly detail: string }> {
  const { registrar: uri, authUser, password, proxy } = settings;
  const digest = new DigestClient({ user: authUser, password });
  const address = addressOfRecord(settings);
  const tag = randomBytes(8).toString('hex');
  const callId = randomBytes(16).toString('hex');
  let sequence = 0;
  try {
    const { response, refused } = await digest.request({ method: 'REGISTER', uri }, (credentials) => {
      const headers = {
        From: `<${address}>;tag=${tag}`,
        To: `<${address}>`,
        'Call-ID': callId,
        CSeq: `${++sequence} REGISTER`,
        ...credentials,
      };
      return send({ method: 'REGISTER', uri, headers, ...(proxy === undefined ? {} : { proxy }) });
    });
    const { status, sourceAddress } = response;
    if (status < 200 || status >= 300) return { level: 'FAIL', detail: explain(response, refused) };
    return { level: 'ok', detail: `${sourceAddress} knows the user and takes the password` };
  } catch (error) {
    return { level: 'FAIL', detail: errorText(error) };
  }
}
