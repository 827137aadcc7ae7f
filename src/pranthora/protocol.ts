/** What an agent can tell the bridge, whichever protocol carries it. */
export interface AgentMessageHandlers {
  /** The agent is ready to hear the caller. */
  onMediaStart(): void;
  /** Speech to play, in the protocol's own encoding; any length, odd ones too. The bytes are the receiver's to keep. */
  onAudio(bytes: Uint8Array): void;
  /** Stop playing and discard what is queued. `spelling` says how the server put it. */
  onInterruption(spelling: string): void;
  /** Tells where in the speech sent so far an utterance ends. */
  onMark(name: string): void;
  /** The agent ended the call. */
  onHangup(): void;
  /** A message without meaning here; `what` is short and fit for a log. */
  onIgnored(what: string): void;
}

/** One of Pranthora's protocols as a pure codec: no socket, no time, no state of a call. */
export interface AgentProtocol {
  /** Reads one WebSocket message and calls at most one of `handlers`. Never throws, whatever the bytes. */
  decode(data: Buffer, isBinary: boolean, handlers: AgentMessageHandlers): void;
  /** The binary message that carries one 20 ms frame of the caller's audio. */
  encodeAudio(frame: Uint8Array): Uint8Array;
}
