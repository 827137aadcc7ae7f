import type { AgentMessageHandlers, AgentProtocol } from './protocol.js';

/** 20 ms of 16 kHz mono 16-bit PCM: what goes to the agent in one message. */
export const FRAME_BYTES = 640;
export const FRAME_MS = 20;

/** The control messages known are under 100 bytes; what is much longer is not worth the parsing. */
const MAX_TEXT_BYTES = 64 * 1024;
const MAX_SHOWN_CHARS = 40;

/** The guide says `stop`; the other spellings are seen from Pranthora's servers. */
const INTERRUPTIONS = new Set(['stop', 'clear', 'stop_speaking', 'interruption']);

/**
 * The pure WebSocket protocol: binary messages are 16 kHz mono 16-bit little-endian PCM both ways, text messages come
 * from the server alone (it takes a text message from the client for a broken one).
 */
export const webSocketProtocol: AgentProtocol = {
  decode(data, isBinary, handlers) {
    if (isBinary) {
      if (data.length > 0) handlers.onAudio(data);
    } else if (data.length > MAX_TEXT_BYTES) {
      handlers.onIgnored(`text of ${data.length} bytes`);
    } else {
      decodeText(data.toString('utf8').trim(), handlers);
    }
  },
  encodeAudio: (frame) => frame,
};

function decodeText(text: string, handlers: AgentMessageHandlers): void {
  if (text.startsWith('{')) {
    decodeJson(text, handlers);
    return;
  }
  const word = text.toLowerCase();
  if (word === 'stop' || word === 'clear') handlers.onInterruption(word);
  else handlers.onIgnored('text that is neither JSON nor "stop"');
}

function decodeJson(text: string, handlers: AgentMessageHandlers): void {
  const message = parseObject(text);
  if (!message) {
    handlers.onIgnored('invalid JSON');
    return;
  }
  // The guide writes `event_type` here and `event` in the telephony protocol; servers have been seen to mix them.
  const key = typeof message['event_type'] === 'string' ? 'event_type' : 'event';
  const name = message[key];
  if (typeof name !== 'string') handlers.onIgnored('JSON without an event');
  else decodeEvent(key, name.trim().toLowerCase(), message, handlers);
}

function decodeEvent(
  key: string,
  name: string,
  message: Readonly<Record<string, unknown>>,
  handlers: AgentMessageHandlers,
): void {
  if (name === 'start_media_streaming') handlers.onMediaStart();
  else if (INTERRUPTIONS.has(name)) handlers.onInterruption(`${key}:${name}`);
  else if (name === 'call-end' || name === 'call_end') handlers.onHangup();
  else if (name === 'mark') handlers.onMark(markName(message['mark']));
  else handlers.onIgnored(`event "${name.slice(0, MAX_SHOWN_CHARS)}"`);
}

function markName(mark: unknown): string {
  return isObject(mark) && typeof mark['name'] === 'string' ? mark['name'] : '';
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
