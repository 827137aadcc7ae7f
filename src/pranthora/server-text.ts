import type { AgentMessageHandlers } from './protocol.js';

const MAX_SHOWN_CHARS = 40;
const MAX_MARK_NAME_CHARS = 256;

/** The guide says `stop` and `clear`; the other spellings are seen from Pranthora's servers. */
const INTERRUPTIONS = new Set(['stop', 'clear', 'stop_speaking', 'interruption']);

export type JsonObject = Readonly<Record<string, unknown>>;

/** Reads a text message, whatever it holds: a word, or JSON with an event, which goes to `onEvent`. */
export function decodeText(
  text: string,
  handlers: AgentMessageHandlers,
  onEvent: (key: EventKey, name: string, message: JsonObject) => void,
): void {
  const trimmed = text.trim();
  if (trimmed.startsWith('{')) {
    decodeJson(trimmed, handlers, onEvent);
    return;
  }
  const word = trimmed.toLowerCase();
  if (word === 'stop' || word === 'clear') handlers.onInterruption(word);
  else handlers.onIgnored('text that is neither JSON nor "stop"');
}

/** The guide writes `event_type` in one protocol and `event` in the other; servers have been seen to mix them. */
export type EventKey = 'event_type' | 'event';

function decodeJson(
  text: string,
  handlers: AgentMessageHandlers,
  onEvent: (key: EventKey, name: string, message: JsonObject) => void,
): void {
  const message = parseObject(text);
  if (!message) {
    handlers.onIgnored('invalid JSON');
    return;
  }
  const key = typeof message['event_type'] === 'string' ? 'event_type' : 'event';
  const name = message[key];
  if (typeof name !== 'string') handlers.onIgnored('JSON without an event');
  else onEvent(key, name.trim().toLowerCase(), message);
}

/** The events that mean the same in every protocol. */
export function decodeEvent(key: EventKey, name: string, message: JsonObject, handlers: AgentMessageHandlers): void {
  if (name === 'start_media_streaming') handlers.onMediaStart();
  else if (INTERRUPTIONS.has(name)) handlers.onInterruption(`${key}:${name}`);
  else if (name === 'call-end' || name === 'call_end') handlers.onHangup(name);
  else if (name === 'mark') decodeMark(message['mark'], handlers);
  else handlers.onIgnored(`event "${name.slice(0, MAX_SHOWN_CHARS)}"`);
}

function decodeMark(mark: unknown, handlers: AgentMessageHandlers): void {
  const name = isObject(mark) && typeof mark['name'] === 'string' ? mark['name'] : '';
  if (name.length <= MAX_MARK_NAME_CHARS) handlers.onMark(name);
  else handlers.onIgnored(`a mark with a name of ${name.length} characters`);
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
