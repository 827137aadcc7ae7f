import type { G711Law } from '../../audio/g711.js';

/**
 * What the audio of a connection is, both ways: 16 kHz mono 16-bit little-endian PCM (`pcm16k`), or 8 kHz mono G.711
 * in one of its laws.
 */
export type AudioFormat = 'pcm16k' | G711Law;

/** What goes to the agent at a time. */
export const FRAME_MS = 20;

/** Bytes of one 20 ms frame. */
export const FRAME_BYTES = { pcm16k: 640, mulaw: 160, alaw: 160 } as const satisfies Record<AudioFormat, number>;

/** What an agent can tell the bridge, whichever protocol carries it. */
export interface AgentMessageHandlers {
  /** The agent is ready to hear the caller. */
  onMediaStart(): void;
  /** Speech to play, in the protocol's own format; any length, odd ones too. The bytes are the receiver's to keep. */
  onAudio(bytes: Uint8Array): void;
  /** Stop playing and discard what is queued. `spelling` says how the server put it. */
  onInterruption(spelling: string): void;
  /** Tells where in the speech sent so far an utterance ends. */
  onMark(name: string): void;
  /** The agent ended the call; `spelling` says how. */
  onHangup(spelling: string): void;
  /** Something went wrong at the agent's; `detail` in its own words, of any length and content. */
  onError(detail: string): void;
  /** How the conversation goes, for people to look at. */
  onReport(spelling: string): void;
  /** A message without meaning here; `what` is short and fit for a log. */
  onIgnored(what: string): void;
}

/**
 * One of Pranthora's protocols on one connection, as a codec: no socket, no time. What it makes to be sent is text when
 * it is a string and binary otherwise.
 */
export interface AgentProtocol {
  readonly format: AudioFormat;
  /** What is longer breaks the connection before it is read. */
  readonly maxMessageBytes: number;
  /** Reads one WebSocket message and calls at most one of `handlers`. Never throws, whatever the bytes. */
  decode(data: Buffer, isBinary: boolean, handlers: AgentMessageHandlers): void;
  /** Whether the stream begins with a message of ours. Otherwise the server's `start_media_streaming` is waited for. */
  readonly clientBegins: boolean;
  /** What begins the stream, as soon as the WebSocket is open. */
  opening(): string | undefined;
  /** The message that carries one 20 ms frame of the caller's audio. Does not keep the bytes. */
  encodeAudio(frame: Uint8Array): Uint8Array | string;
  /** Tells the agent that what it said before this mark has been played or discarded. Undefined where it is not told. */
  markEcho(name: string): string | undefined;
  /** Tells the agent of a key the caller has pressed. Undefined where it cannot be told. */
  digit(digit: string): string | undefined;
  /** What ends the stream, before the close frame. */
  closing(): string | undefined;
}
