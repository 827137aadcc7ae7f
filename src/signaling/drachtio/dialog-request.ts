import type { DigestClient } from '../auth/digest-client.js';
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
  // What the SIP server puts into the Request-URI is known once it has: our first answer may be to a challenge of before.
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
      if (!response) reject(error instanceof Error ? error : new Error(String(error)));
      else if (response.status >= 200) resolve(response);
    }),
  );
}
