import { EventEmitter } from 'node:events';
import type { CancelTimer, Clock } from '../clock.js';
import type { StreamEncoding } from '../audio/encodings.js';
import { errorText } from '../error-text.js';
import { SdpError } from '../media/sdp.js';
import type { DigestClient } from '../signaling/auth/digest-client.js';
import type { DrachtioSipEndpoint, OutgoingCall } from '../signaling/drachtio/drachtio.js';
import { describeGenerated } from '../signaling/generated-response.js';
import { CallRefused, RenegotiationRefused, type CallDialog, type DialogHandlers } from '../signaling/sip-endpoint.js';
import type { CallAudio } from './call-audio.js';
import type { HeardAudio, HeardReport } from './heard-audio.js';

/** How a call ended: `refused` with the callee's final response, `failed` for want of one or of anything else. */
export interface CallEnding {
  readonly by: 'caller' | 'callee' | 'refused' | 'failed';
  /** One line. */
  readonly reason: string;
}

/** A moment of the call's signalling, on the caller's clock. */
export interface CallProgress {
  readonly atMs: number;
  readonly direction: 'sent' | 'received';
  /** `INVITE`, `180 Ringing`, `200 OK`, `BYE`… */
  readonly what: string;
}

export interface TestCallEvents {
  progress: [progress: CallProgress];
  ringing: [atMs: number];
  answered: [atMs: number];
  /** Last of all, for every call. */
  ended: [ending: CallEnding, atMs: number];
}

/** What became of a call; times are on the caller's clock. */
export interface TestCallReport {
  readonly codec: StreamEncoding;
  readonly progress: readonly CallProgress[];
  readonly placedAtMs: number;
  readonly answeredAtMs?: number;
  readonly endedAtMs?: number;
  readonly ending?: CallEnding;
  readonly sentPackets: number;
  /** Datagrams that were no RTP, came from somebody else, or were of another payload type (telephone-events). */
  readonly foreignPackets: number;
  readonly heard: HeardReport;
}

export interface TestCallOptions {
  readonly uri: string;
  readonly codec: StreamEncoding;
  /** User part of our From. */
  readonly from: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly digest?: DigestClient;
}

export interface TestCallDependencies {
  readonly clock: Clock;
  readonly sip: DrachtioSipEndpoint;
  readonly audio: CallAudio;
}

const PROVISIONAL: Readonly<Record<number, string>> = { 180: 'Ringing', 183: 'Session Progress' };

/** A callee that does not even answer a CANCEL is not waited for any longer. */
const CANCEL_TIMEOUT_MS = 4_000;

/**
 * One call of the test caller: from the answer on it sends a packet every 20 ms, silence unless told to `play`
 * something, and records what comes. It lets go of its socket and its dialog when it ends, whoever ends it.
 */
export class TestCall extends EventEmitter<TestCallEvents> {
  /** Resolves at the callee's 200. Rejects with `CallRefused`, or whatever else kept the call from being set up. */
  readonly answered: Promise<void>;
  /** Resolves when the call is over and everything is released. Never rejects. */
  readonly ended: Promise<CallEnding>;

  readonly #options: TestCallOptions;
  readonly #clock: Clock;
  readonly #sip: DrachtioSipEndpoint;
  readonly #audio: CallAudio;
  readonly #progress: CallProgress[] = [];
  readonly #placedAtMs: number;
  #outgoing: OutgoingCall | undefined;
  #dialog: CallDialog | undefined;
  #givenUp = false;
  #cancelTimer: CancelTimer | undefined;
  #failure: unknown;
  #answeredAtMs: number | undefined;
  #endedAtMs: number | undefined;
  #ending: CallEnding | undefined;

  constructor(options: TestCallOptions, { clock, sip, audio }: TestCallDependencies) {
    super();
    this.#options = options;
    this.#clock = clock;
    this.#sip = sip;
    this.#audio = audio;
    this.#placedAtMs = clock.nowMs();
    this.ended = new Promise((resolve) => {
      this.once('ended', resolve);
    });
    this.answered = new Promise((resolve, reject) => {
      this.once('answered', () => resolve());
      this.once('ended', ({ reason }) => reject(this.#failure instanceof Error ? this.#failure : new Error(reason)));
    });
    // Whoever only waits for the end does not have to look at this one.
    this.answered.catch(() => undefined);
    void this.#place();
  }

  /** What has been heard so far; grows while the call lasts. */
  get heard(): HeardAudio {
    return this.#audio.heard;
  }

  /** Of all samples said and heard: 16,000 with a wideband codec, else 8,000. */
  get rateHz(): number {
    return this.#audio.rateHz;
  }

  /** How it ended, once it has. */
  get ending(): CallEnding | undefined {
    return this.#ending;
  }

  /** When the first packet was sent. */
  get firstSentAtMs(): number | undefined {
    return this.#audio.firstSentAtMs;
  }

  /** Samples sent so far, silence included: where the next `play` begins when nothing is being said. */
  get sentSamples(): number {
    return this.#audio.spoken.length;
  }

  /**
   * Says `samples` (at `rateHz`) after what it is saying already; before the answer they wait. Resolves when the last packet of
   * them has been sent, or the call has ended.
   */
  play(samples: Int16Array): Promise<void> {
    return this.#ending ? Promise.resolve() : this.#audio.spoken.play(samples);
  }

  /** Both directions at `rateHz` on one time axis, which begins with the first packet of either. */
  recording(): { sent: Int16Array; heard: Int16Array } {
    return this.#audio.recording();
  }

  /** BYE, or CANCEL before the answer. Resolves when the call is over. Idempotent. */
  async hangUp(): Promise<void> {
    if (this.#dialog && !this.#givenUp && !this.#ending) {
      this.#givenUp = true;
      this.#audio.close();
      this.#note('sent', 'BYE');
      await this.#dialog.bye();
      this.#end({ by: 'caller', reason: 'hung up' });
    }
    this.cancel();
    await this.ended;
  }

  /** CANCEL. Does nothing once the call is answered. */
  cancel(): void {
    if (this.#givenUp || this.#dialog || this.#ending) return;
    this.#givenUp = true;
    if (!this.#outgoing) return;
    this.#note('sent', 'CANCEL');
    this.#outgoing.cancel();
    this.#cancelTimer = this.#clock.after(CANCEL_TIMEOUT_MS, () =>
      this.#end({ by: 'caller', reason: 'canceled, without an answer' }),
    );
  }

  report(): TestCallReport {
    return {
      codec: this.#options.codec,
      progress: [...this.#progress],
      placedAtMs: this.#placedAtMs,
      sentPackets: this.#audio.sentPackets,
      foreignPackets: this.#audio.foreignPackets,
      heard: this.heard.report(),
      ...(this.#answeredAtMs !== undefined && { answeredAtMs: this.#answeredAtMs }),
      ...(this.#endedAtMs !== undefined && { endedAtMs: this.#endedAtMs }),
      ...(this.#ending && { ending: this.#ending }),
    };
  }

  async #place(): Promise<void> {
    try {
      const answer = await this.#invite(await this.#audio.open());
      this.#onAnswer(answer);
    } catch (error) {
      this.#failure = error;
      if (error instanceof CallRefused && error.fromPeer) this.#note('received', error.message);
      await this.#dialog?.bye();
      this.#end(this.#endingOf(error));
    }
  }

  async #invite(offer: string): Promise<string> {
    if (this.#givenUp) throw new Error('given up before the INVITE');
    const { uri, from, headers, digest } = this.#options;
    const onProvisional = (status: number): void => {
      this.#note('received', `${status} ${PROVISIONAL[status] ?? ''}`.trim());
      this.emit('ringing', this.#clock.nowMs());
    };
    this.#note('sent', 'INVITE');
    const options = { callingNumber: from, headers, onProvisional, ...(digest && { digest }) };
    this.#outgoing = this.#sip.placeCall(uri, offer, options, this.#dialogHandlers());
    const { dialog, answer } = await this.#outgoing.answered;
    this.#dialog = dialog;
    return answer;
  }

  #onAnswer(answer: string): void {
    this.#note('received', '200 OK');
    if (this.#ending) throw new Error(this.#ending.reason);
    if (this.#givenUp) throw new Error('answered after CANCEL');
    this.#audio.start(answer);
    this.#answeredAtMs = this.#clock.nowMs();
    this.emit('answered', this.#answeredAtMs);
  }

  #dialogHandlers(): DialogHandlers {
    return {
      onEnd: ({ byPeer, reason }) => {
        // A dialog the SIP agent gave up by itself is ended by a BYE of its own.
        this.#note(byPeer ? 'received' : 'sent', 'BYE');
        this.#end({ by: byPeer ? 'callee' : 'failed', reason: reason || 'hung up' });
      },
      onAck: () => undefined,
      onRenegotiate: ({ offer, method }) => {
        this.#note('received', method);
        return this.#renegotiate(offer);
      },
    };
  }

  #renegotiate(offer: string | undefined): Promise<string> {
    try {
      return Promise.resolve(this.#audio.renegotiate(offer));
    } catch (error) {
      return Promise.reject(
        error instanceof SdpError ? new RenegotiationRefused(488, error.message) : (error as Error),
      );
    }
  }

  #endingOf(error: unknown): CallEnding {
    const reason = reasonOf(error);
    if (this.#givenUp) return { by: 'caller', reason };
    if (error instanceof CallRefused && !error.fromPeer) return { by: 'failed', reason };
    return { by: error instanceof CallRefused ? 'refused' : 'failed', reason };
  }

  #note(direction: CallProgress['direction'], what: string): void {
    const progress = { atMs: this.#clock.nowMs(), direction, what };
    this.#progress.push(progress);
    this.emit('progress', progress);
  }

  #end(ending: CallEnding): void {
    if (this.#ending) return;
    this.#ending = ending;
    this.#endedAtMs = this.#clock.nowMs();
    this.#cancelTimer?.();
    this.#audio.close();
    this.emit('ended', ending, this.#endedAtMs);
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof CallRefused && !error.fromPeer) return describeGenerated(error.status);
  return errorText(error);
}
