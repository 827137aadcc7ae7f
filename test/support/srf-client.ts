import { once } from 'node:events';
import Srf from 'drachtio-srf';
import type { SrfDialog, SrfInstance, SrfRequest, SrfResponse } from '../../src/signaling/drachtio/srf-types.js';

type Handler = (request: SrfRequest, response: SrfResponse) => void;

/** drachtio-srf as tests of the SIP agent use it: everything a call can do. */
export interface TestSrf extends Omit<SrfInstance, 'request'> {
  options(handler: Handler): void;
  request(
    uri: string,
    options: { method: string; headers?: Record<string, string>; body?: string; stackDialogId?: string },
  ): Promise<SrfRequest>;
  unregisterForMessages(verb: string): void;
}

export interface TestDialog extends Omit<SrfDialog, 'request'> {
  request(options: { method: string; headers?: Record<string, string>; body?: string }): Promise<SrfResponse>;
}

export type { SrfRequest, SrfResponse };

/** Connects to an agent. The routes are those of the handlers `prepare` sets. */
export async function connectSrf(
  wire: { host: string; port: number },
  secret: string,
  prepare: (srf: TestSrf) => void,
): Promise<TestSrf> {
  const srf = new Srf() as unknown as TestSrf;
  srf.on('error', () => undefined);
  prepare(srf);
  srf.connect({ ...wire, secret });
  const [error] = (await once(srf, 'connect')) as [Error | null];
  if (error) throw error;
  return srf;
}

/** Answers an INVITE; resolves with the dialog when the 200 has gone out. */
export function answer(
  srf: TestSrf,
  request: SrfRequest,
  response: SrfResponse,
  localSdp: string,
): Promise<TestDialog> {
  return new Promise((resolve, reject) =>
    srf.createUAS(request, response, { localSdp }, (error, dialog) => {
      if (dialog) resolve(dialog as TestDialog);
      else reject(asError(error));
    }),
  );
}

/** Hangs up; resolves when the BYE has been answered. */
export function hangUp(dialog: Pick<SrfDialog, 'destroy'>): Promise<void> {
  return new Promise((resolve, reject) =>
    dialog.destroy({}, (error) => {
      if (error) reject(asError(error));
      else resolve();
    }),
  );
}

/** drachtio-srf reports some failures as an Error and some as a string. */
function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(typeof error === 'string' ? error : JSON.stringify(error));
}
