import { Samples } from './samples.js';

/** What is measured of all calls together, in milliseconds. */
export class LoadFigures {
  /** INVITE → 200, without what the agent took to be ready. */
  readonly setUpMs = new Samples();
  /** From the send of an RTP packet to the frame with it. */
  readonly uplinkMs = new Samples();
  /** From `stop` on its way out to the first RTP packet without the speech it stops. */
  readonly silenceMs = new Samples();
  /** Distance of the time between two RTP packets from 20 ms, as they come in here. */
  readonly pacingMs = new Samples();
  /** How much later than 20 ms after the one before the generator's own ticks were. */
  readonly tickLateMs = new Samples();
}
