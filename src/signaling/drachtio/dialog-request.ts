import type { DigestClient } from '../auth/digest-client.js';
import { asError } from '../../error-text.js';
import type { SrfDialog, SrfDialogRequest, SrfResponse } from './srf-types.js';

/**
 * Sends a request in a dialog, to its final response; one that is challenged is sent again with credentials. Rejects when it
 * cannot be sent.
 */
export async function requestWithCredentials(
  dialog: SrfDialog,
  request: SrfDialogRequest,
  digest: DigestClient,
): Promise<SrfResponse> {
  // The Request-URI that the SIP server wrote is known only from its first response; the first credentials may answer an
  // earlier challenge, for the URI known here.
  const about = { method: request.method, uri: dialog.remote.uri };
  const { response } = await digest.request(about, async (credentials) => {
    const final = await finalResponse(dialog, { ...request, headers: { ...request.headers, ...credentials } });
    about.uri = final.req.uri;
    return final;
  });
  return response;
}

function finalResponse(dialog: SrfDialog, request: SrfDialogRequest): Promise<SrfResponse> {
  return new Promise((resolve, reject) =>
    dialog.request(request, (error, response) => {
      if (!response) reject(asError(error));
      else if (response.status >= 200) resolve(response);
    }),
  );
}
