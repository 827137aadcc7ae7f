import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { WebSocketServer, type WebSocket } from 'ws';
import { encodeG711 } from '../audio/g711.js';
import type { CancelTimer, Clock } from '../clock.js';
import { pcmBytes, tone } from '../simulator/speech.js';
import { loadCallOf } from './load-numbers.js';

export type LoadMode = 'websocket' | 'telephony';

/** How much of the time an agent talks. */
export type LoadTalk = 'quarter' | 'all' | 'never';

/** What an agent tells of its call. */
export interface LoadAgentEvents {
  /** It has said that it is ready, `tookMs` after its TCP connection came to be. */
  onReady(call: number, tookMs: number): void;
  /** A frame with speech has come. */
  onLoud(call: number, nowMs: number): void;
  /** `stop` is about to be sent. */
  onStopping(call: number): void;
}

export interface LoadAgentsOptions {
  readonly mode: LoadMode;
  readonly talk: LoadTalk;
  readonly clock: Clock;
  readonly tls?: { readonly key: string; readonly cert: string };
}

/** Said in one go, faster than it is spoken, as TTS is. */
const PIECE_MS = 100;
const UTTERANCE_MS = 2_500;
const PAUSE_MS = 500;
/** Talks for 2 s of 8: a quarter of the time. */
const CYCLE_MS = { quarter: 8_000, all: 2_000 + PAUSE_MS, never: Infinity };
const TALK_MS = 2_000;

const SPEECH = tone(500, UTTERANCE_MS);
const PCM_PIECES = pieces(pcmBytes(SPEECH), 32 * PIECE_MS);
const MULAW_MESSAGES = pieces(mulawOf(SPEECH), 8 * PIECE_MS).map((piece) =>
  JSON.stringify({ event: 'media', media: { payload: piece.toString('base64') } }),
);

/** Agents that cost as little as possible: no account is kept of what they hear, but when it is loud. */
export class LoadAgents {
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #options: LoadAgentsOptions;
  readonly #events: Partial<LoadAgentEvents>;
  readonly #timers = new Set<CancelTimer>();
  /** When connections that no WebSocket has come of yet were made, by the other side's port. */
  readonly #acceptedAtMs = new Map<number, number>();

  constructor(options: LoadAgentsOptions, events: Partial<LoadAgentEvents>) {
    this.#options = options;
    this.#events = events;
    this.#server = options.tls ? createSecureServer(options.tls) : createServer();
    this.#sockets = new WebSocketServer({ server: this.#server, perMessageDeflate: false, skipUTF8Validation: true });
    this.#server.on('connection', ({ remotePort = 0 }) => {
      this.#acceptedAtMs.set(remotePort, options.clock.nowMs());
    });
    this.#sockets.on('connection', (socket, request) => this.#onConnection(socket, request));
  }

  /** Resolves to the URL for `pranthora.url`. */
  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not TCP');
    return `${this.#options.tls ? 'wss' : 'ws'}://127.0.0.1:${address.port}`;
  }

  async stop(): Promise<void> {
    for (const cancel of this.#timers) cancel();
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  #onConnection(socket: WebSocket, request: IncomingMessage): void {
    const call = loadCallOf(request.url ?? '');
    const isLoud = this.#options.mode === 'telephony' ? isLoudMedia : isLoudPcm;
    socket.on('message', (bytes: Buffer) => {
      if (isLoud(bytes)) this.#events.onLoud?.(call, this.#options.clock.nowMs());
    });
    socket.on('error', () => undefined);
    if (this.#options.mode === 'websocket') socket.send('{"event_type":"start_media_streaming"}');
    this.#tellReady(call, request.socket.remotePort ?? 0);
    if (this.#options.talk === 'never') return;
    // Spread over the cycle, so that agents do not all begin to talk at once.
    this.#after(Math.random() * CYCLE_MS[this.#options.talk], () => this.#talk(socket, call));
  }

  #tellReady(call: number, remotePort: number): void {
    const nowMs = this.#options.clock.nowMs();
    this.#events.onReady?.(call, nowMs - (this.#acceptedAtMs.get(remotePort) ?? nowMs));
    this.#acceptedAtMs.delete(remotePort);
  }

  #talk(socket: WebSocket, call: number): void {
    if (socket.readyState !== socket.OPEN) return;
    const { mode, talk } = this.#options;
    for (const piece of mode === 'telephony' ? MULAW_MESSAGES : PCM_PIECES) socket.send(piece);
    this.#after(TALK_MS, () => {
      if (socket.readyState !== socket.OPEN) return;
      this.#events.onStopping?.(call);
      socket.send(mode === 'telephony' ? '{"event":"clear"}' : 'stop');
    });
    this.#after(CYCLE_MS[talk], () => this.#talk(socket, call));
  }

  #after(delayMs: number, act: () => void): void {
    const cancel = this.#options.clock.after(delayMs, () => {
      this.#timers.delete(cancel);
      act();
    });
    this.#timers.add(cancel);
  }
}

function pieces(bytes: Buffer, pieceBytes: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, n) =>
    bytes.subarray(n * pieceBytes, (n + 1) * pieceBytes),
  );
}

function mulawOf(pcm16k: Int16Array): Buffer {
  const pcm8k = pcm16k.filter((_, n) => n % 2 === 0);
  const bytes = Buffer.alloc(pcm8k.length);
  encodeG711('mulaw', pcm8k, 0, pcm8k.length, bytes, 0);
  return bytes;
}

/** Half of what a loud packet has: the filter leaves a tenth of it in the next frame. */
const LOUD_MEAN = 2_000;

function isLoudPcm(bytes: Buffer): boolean {
  let sum = 0;
  let samples = 0;
  for (let at = 128; at + 2 <= bytes.length - 128; at += 26) {
    sum += Math.abs(bytes.readInt16LE(at));
    samples += 1;
  }
  return sum > LOUD_MEAN * samples;
}

const PAYLOAD = Buffer.from('"payload":"');

/** Silence in µ-law is all ones, and so is its base64 all slashes. */
function isLoudMedia(bytes: Buffer): boolean {
  const at = bytes.indexOf(PAYLOAD);
  return at >= 0 && bytes.toString('latin1', at + PAYLOAD.length + 40, at + PAYLOAD.length + 48) !== '////////';
}
