import type { G711Law } from '../../audio/g711.js';
import { FRAME_BYTES, FRAME_MS, type AgentMessageHandlers, type AgentProtocol } from './protocol.js';
import { decodeEvent, decodeText } from './server-text.js';

export interface TelephonyStreamOptions {
  /** Names this connection's stream; unique. */
  readonly streamSid: string;
  readonly callSid: string;
  readonly accountSid?: string;
  readonly encoding: G711Law;
  readonly customParameters?: Readonly<Record<string, string>>;
}

const OPENING_BRACE = 0x7b;

/**
 * One stream of the telephony protocol: JSON in text messages, G.711 in base64, as the guide has it and in the fuller
 * form of Twilio's Media Streams, on which it is modelled. One for each connection; it counts what it has sent.
 */
export class TelephonyProtocol implements AgentProtocol {
  readonly format: G711Law;
  readonly clientBegins = true;
  /** A minute and a half of speech in one message: longer ones would only hold up the other calls while they are read. */
  readonly maxMessageBytes = 1024 * 1024;
  readonly #options: TelephonyStreamOptions;
  /** What stands in every message after its number. */
  readonly #streamSid: string;
  readonly #mediaMiddle: string;
  readonly #frame: Buffer;
  #messages = 0;
  #chunks = 0;
  #open = false;

  constructor(options: TelephonyStreamOptions) {
    this.#options = options;
    this.format = options.encoding;
    this.#streamSid = `","streamSid":${JSON.stringify(options.streamSid)}`;
    this.#mediaMiddle = `${this.#streamSid},"media":{"track":"inbound","chunk":"`;
    this.#frame = Buffer.alloc(FRAME_BYTES[options.encoding]);
  }

  decode(data: Buffer, isBinary: boolean, handlers: AgentMessageHandlers): void {
    // There is no binary audio here: JSON is JSON in either kind of message.
    if (isBinary && data[0] !== OPENING_BRACE) {
      handlers.onIgnored(`binary message of ${data.length} bytes`);
      return;
    }
    decodeText(data.toString('utf8'), handlers, (event) => {
      // The server's own `stop` event is about the stream; its interruption is `clear`.
      if (event.key === 'event' && event.name === 'stop') handlers.onHangup('stop event');
      else decodeEvent(event, handlers);
    });
  }

  /** The `start` event. */
  opening(): string {
    this.#open = true;
    const { streamSid, callSid, accountSid, encoding, customParameters = {} } = this.#options;
    const start = {
      streamSid,
      callSid,
      ...(accountSid === undefined ? {} : { accountSid }),
      tracks: ['inbound'],
      customParameters,
      mediaFormat: {
        encoding: encoding === 'mulaw' ? 'audio/x-mulaw' : 'audio/x-alaw',
        sampleRate: 8_000,
        channels: 1,
      },
    };
    return this.#event('start', `,"start":${JSON.stringify(start)}`);
  }

  /** @param frame 20 ms of G.711: 160 bytes. */
  encodeAudio(frame: Uint8Array): string {
    this.#frame.set(frame);
    const timestampMs = this.#chunks * FRAME_MS;
    // Fifty times a second for every call: pieces made once, put together by hand.
    return (
      '{"event":"media","sequenceNumber":"' +
      `${++this.#messages}` +
      this.#mediaMiddle +
      `${++this.#chunks}` +
      '","timestamp":"' +
      `${timestampMs}` +
      '","payload":"' +
      this.#frame.toString('base64') +
      '"}}'
    );
  }

  markEcho(name: string): string {
    return this.#event('mark', `,"mark":${JSON.stringify({ name })}`);
  }

  /** Twilio's `dtmf` event: `0` to `9`, `*`, `#`, `A` to `D`. */
  digit(digit: string): string {
    return this.#event('dtmf', `,"dtmf":${JSON.stringify({ track: 'inbound_track', digit })}`);
  }

  /** The `stop` event, if there is a stream to stop. */
  closing(): string | undefined {
    if (!this.#open) return undefined;
    this.#open = false;
    const { callSid, accountSid } = this.#options;
    return this.#event('stop', `,"stop":${JSON.stringify({ ...(accountSid && { accountSid }), callSid })}`);
  }

  #event(name: string, rest: string): string {
    return `{"event":"${name}","sequenceNumber":"${++this.#messages}${this.#streamSid}${rest}}`;
  }
}
