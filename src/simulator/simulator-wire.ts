import type { Violation } from './uplink-audit.js';

/** Of one frame of the caller's. */
export const FRAME_MS = 20;

/** What came with one message of the client's. Whatever breaks the guide has been reported already. */
export type ClientMessage =
  /** The caller's audio, as it is on the wire. */
  | { readonly kind: 'audio'; readonly payload: Buffer }
  /** The stream begins, in the protocol where the client says so. */
  | { readonly kind: 'start' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'mark'; readonly name: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'nothing' };

/** The simulator's half of one of the protocols, for one connection: messages in, messages out, complaints. */
export interface SimulatorWire {
  readonly protocol: 'websocket' | 'telephony';
  /** Whether speech can be sent yet. */
  readonly canSpeak: boolean;
  /** Of 20 ms. */
  readonly frameBytes: number;
  /** Bytes of 16 kHz PCM in one piece of synthesised speech: about 100 ms, and odd as it is on the wire. */
  readonly pieceBytes: number;
  read(data: Buffer, isBinary: boolean, nowMs: number): ClientMessage;
  /** What asks the client for its audio, where it waits for that. */
  startMessage(): string | undefined;
  /** 16 kHz PCM as payload for the wire. The pieces of one speech belong together. */
  encode(pcm: Buffer): Buffer;
  /** The audio of some payloads, one stream, as 16 kHz PCM. */
  decoder(): (payload: Buffer) => Buffer;
  speechMessage(payload: Uint8Array): Uint8Array | string;
  interruptionMessage(): string;
  /** Tells the client where an utterance ends, where there is such a message. */
  markMessage(name: string): string | undefined;
}

/** The pure WebSocket: 16 kHz PCM in binary messages both ways, text from the server alone. */
export class WebSocketWire implements SimulatorWire {
  readonly protocol = 'websocket';
  readonly canSpeak = true;
  readonly frameBytes = 640;
  /** Half a sample more than 100 ms: pieces respect neither frames nor samples. */
  readonly pieceBytes = 3_201;
  readonly #report: (violation: Violation) => void;

  constructor(report: (violation: Violation) => void) {
    this.#report = report;
  }

  read(data: Buffer, isBinary: boolean, nowMs: number): ClientMessage {
    if (isBinary) return { kind: 'audio', payload: data };
    this.#report({ kind: 'text-frame', detail: `${data.length} bytes`, atMs: nowMs });
    return { kind: 'text', text: data.toString('utf8') };
  }

  startMessage(): string {
    return '{"event_type": "start_media_streaming"}';
  }

  encode(pcm: Buffer): Buffer {
    return pcm;
  }

  decoder(): (payload: Buffer) => Buffer {
    return (payload) => payload;
  }

  speechMessage(payload: Uint8Array): Uint8Array {
    return payload;
  }

  interruptionMessage(): string {
    return 'stop';
  }

  markMessage(): undefined {
    return undefined;
  }
}
