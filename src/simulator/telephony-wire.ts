import { decodeG711, encodeG711, type G711Law } from '../audio/g711.js';
import { Downsampler2x, Upsampler2x } from '../audio/resampler.js';
import type { ClientMessage, SimulatorWire } from './simulator-wire.js';
import { pcmBytes, pcmSamples } from './speech.js';
import type { Violation, ViolationKind } from './uplink-audit.js';

/** What the client said about the call; its own words, apart from `encoding`. */
export interface StreamStart {
  readonly streamSid: string;
  readonly callSid: string;
  readonly encoding: G711Law;
  readonly customParameters: Readonly<Record<string, unknown>>;
}

type JsonObject = Readonly<Record<string, unknown>>;

const NOTHING: ClientMessage = { kind: 'nothing' };
const MAX_SHOWN_CHARS = 60;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The telephony protocol: JSON in text messages, G.711 in base64, and what of Twilio's fuller form a client sends. */
export class TelephonyWire implements SimulatorWire {
  readonly protocol = 'telephony';
  readonly frameBytes = 160;
  /** 801 bytes of G.711. */
  readonly pieceBytes = 3_204;
  readonly #report: (violation: Violation) => void;
  readonly #downsampler = new Downsampler2x();
  #start: StreamStart | undefined;
  #stopped = false;
  #sequenceNumber = 0;
  #chunk = 0;
  #nowMs = 0;

  constructor(report: (violation: Violation) => void) {
    this.#report = report;
  }

  get canSpeak(): boolean {
    return this.#start !== undefined;
  }

  /** The client's first `start`, once it has come. */
  get start(): StreamStart | undefined {
    return this.#start;
  }

  read(data: Buffer, isBinary: boolean, nowMs: number): ClientMessage {
    this.#nowMs = nowMs;
    if (isBinary) return this.#complain('binary-frame', `${data.length} bytes`);
    const message = parse(data.toString('utf8'));
    if (!message) return this.#complain('json', `${data.length} bytes that are no JSON object`);
    if (this.#stopped) this.#complain('after-stop', 'a message after the stop event');
    this.#checkNumbers(message);
    switch (message['event']) {
      case 'start':
        return this.#onStart(message);
      case 'media':
        return this.#onMedia(message['media']);
      case 'mark':
        return this.#onMark(message['mark']);
      case 'dtmf':
        return { kind: 'text', text: data.toString('utf8') };
      case 'stop':
        this.#stopped = true;
        return { kind: 'stop' };
      default:
        this.#complain('unknown-event', `event ${shown(message['event'])}`);
        return { kind: 'text', text: data.toString('utf8') };
    }
  }

  /** The socket is closed, and not by the server. */
  end(nowMs: number): void {
    this.#nowMs = nowMs;
    if (!this.#start) this.#complain('no-start', 'closed without a start event');
    else if (!this.#stopped) this.#complain('no-stop', 'closed without a stop event');
  }

  startMessage(): undefined {
    return undefined;
  }

  encode(pcm: Buffer): Buffer {
    const samples = pcmSamples(pcm);
    const narrow = new Int16Array(samples.length >> 1);
    this.#downsampler.process(samples, 0, samples.length & ~1, narrow, 0);
    const payload = Buffer.alloc(narrow.length);
    encodeG711(this.#law, narrow, 0, narrow.length, payload, 0);
    return payload;
  }

  decoder(): (payload: Buffer) => Buffer {
    const upsampler = new Upsampler2x();
    return (payload) => {
      const narrow = new Int16Array(payload.length);
      decodeG711(this.#law, payload, 0, payload.length, narrow, 0);
      const wide = new Int16Array(2 * narrow.length);
      upsampler.process(narrow, 0, narrow.length, wide, 0);
      return pcmBytes(wide);
    };
  }

  speechMessage(payload: Uint8Array): string {
    return this.#message('media', { media: { payload: Buffer.from(payload).toString('base64') } });
  }

  interruptionMessage(): string {
    return this.#message('clear');
  }

  markMessage(name: string): string {
    return this.#message('mark', { mark: { name } });
  }

  get #law(): G711Law {
    return this.#start?.encoding ?? 'mulaw';
  }

  #message(event: string, rest: object = {}): string {
    return JSON.stringify({ event, streamSid: this.#start?.streamSid, ...rest });
  }

  /** Optional, but right if they are there (Twilio: decimal strings, from 1, without a gap). */
  #checkNumbers({ sequenceNumber, streamSid }: JsonObject): void {
    this.#sequenceNumber++;
    if (sequenceNumber !== undefined && sequenceNumber !== `${this.#sequenceNumber}`) {
      this.#complain('sequence', `sequenceNumber ${shown(sequenceNumber)} instead of "${this.#sequenceNumber}"`);
    }
    if (this.#start && streamSid !== undefined && streamSid !== this.#start.streamSid) {
      this.#complain('stream-sid', `streamSid ${shown(streamSid)} is not the one of the start event`);
    }
  }

  #onStart(message: JsonObject): ClientMessage {
    if (this.#start) return this.#complain('start-twice', 'a second start event');
    const start = objectIn(message, 'start');
    for (const field of ['streamSid', 'callSid']) {
      if (textIn(start, field) === '') this.#complain('start-fields', `start without a ${field}`);
    }
    this.#start = {
      streamSid: textIn(start, 'streamSid'),
      callSid: textIn(start, 'callSid'),
      encoding: this.#readEncoding(objectIn(start, 'mediaFormat')),
      customParameters: objectIn(start, 'customParameters'),
    };
    return { kind: 'start' };
  }

  #readEncoding({ encoding = 'audio/x-mulaw', sampleRate = 8_000, channels = 1 }: JsonObject): G711Law {
    const law = encoding === 'audio/x-alaw' ? 'alaw' : 'mulaw';
    if (encoding !== `audio/x-${law}` || sampleRate !== 8_000 || channels !== 1) {
      this.#complain('start-fields', `mediaFormat ${shown(encoding)}, ${shown(sampleRate)} Hz, ${shown(channels)}`);
    }
    return law;
  }

  #onMedia(media: unknown): ClientMessage {
    const { payload, chunk } = isObject(media) ? media : {};
    this.#chunk++;
    if (chunk !== undefined && chunk !== `${this.#chunk}`) {
      this.#complain('sequence', `chunk ${shown(chunk)} instead of "${this.#chunk}"`);
    }
    if (typeof payload !== 'string' || payload === '' || !BASE64.test(payload)) {
      return this.#complain('base64', 'media without a payload in base64');
    }
    return { kind: 'audio', payload: Buffer.from(payload, 'base64') };
  }

  #onMark(mark: unknown): ClientMessage {
    const { name } = isObject(mark) ? mark : {};
    if (typeof name === 'string') return { kind: 'mark', name };
    return this.#complain('mark-unknown', 'a mark without a name');
  }

  #complain(kind: ViolationKind, detail: string): ClientMessage {
    this.#report({ kind, detail, atMs: this.#nowMs });
    return NOTHING;
  }
}

function parse(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function objectIn(message: JsonObject, key: string): JsonObject {
  const value = message[key];
  return isObject(value) ? value : {};
}

function textIn(message: JsonObject, key: string): string {
  const value = message[key];
  return typeof value === 'string' ? value : '';
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const shown = (value: unknown): string =>
  ((JSON.stringify(value) as string | undefined) ?? 'undefined').slice(0, MAX_SHOWN_CHARS);
