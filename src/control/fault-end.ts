import { MediaUnavailable } from '../media/engine.js';
import { SdpError } from '../media/sdp.js';
import { callEnd, type CallEnd } from './call-end.js';

/** The end of a call for an error that was thrown in it. */
export function endOfFault(error: unknown): CallEnd {
  if (error instanceof SdpError) return callEnd.notAcceptable(error.message);
  if (error instanceof MediaUnavailable) return callEnd.mediaUnavailable(error.message);
  return callEnd.internalError(error instanceof Error ? error.message : String(error));
}
