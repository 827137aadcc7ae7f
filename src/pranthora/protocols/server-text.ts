import type { AgentMessageHandlers } from './protocol.js';

const MAX_SHOWN_CHARS = 40;
const MAX_MARK_NAME_CHARS = 256;
/** JSON in a JSON string, or an event in an envelope: one within the other, and no more. */
const MAX_DEPTH = 2;

/** The guide says `stop` and `clear`; the other names are seen from Pranthora's servers. Names as `nameOf` has them. */
const INTERRUPTIONS = new Set(['stop', 'clear', 'stopspeaking', 'interruption']);
/** What tells clients with a screen how the conversation goes. It holds what callers say, so nobody repeats it. */
const REPORTS = new Set(['transcript', 'firstresponse', 'agentstop']);

export type JsonObject = Readonly<Record<string, unknown>>;

/** The guide writes `event_type` in one protocol and `event` in the other; clients are seen to look at `type` as well. */
const EVENT_KEYS = ['event_type', 'event', 'type'] as const;
export type EventKey = (typeof EVENT_KEYS)[number];

export interface ServerEvent {
  readonly key: EventKey;
  /** Without case and separators: `call-end`, `call_end` and `callEnd` are all `callend`. */
  readonly name: string;
  /** As the server put it. */
  readonly spelling: string;
  readonly message: JsonObject;
}

/**
 * Reads a text message, whatever it holds: a word, with or without the quotes the guide prints it in, or JSON with an
 * event, which goes to `onEvent`.
 */
export function decodeText(text: string, handlers: AgentMessageHandlers, onEvent: (event: ServerEvent) => void): void {
  decode(text, 1, handlers, onEvent);
}

function decode(
  text: string,
  depth: number,
  handlers: AgentMessageHandlers,
  onEvent: (event: ServerEvent) => void,
): void {
  // A byte order mark counts as white space here.
  const trimmed = text.trim();
  if (!/^["{]/.test(trimmed)) {
    decodeWord(trimmed, handlers);
    return;
  }
  const value = parse(trimmed);
  if (typeof value === 'string' && depth < MAX_DEPTH) decode(value, depth + 1, handlers, onEvent);
  else if (isObject(value)) decodeObject(value, handlers, onEvent);
  else handlers.onIgnored('invalid JSON');
}

function decodeWord(text: string, handlers: AgentMessageHandlers): void {
  const word = nameOf(text);
  if (INTERRUPTIONS.has(word)) handlers.onInterruption(spellingOf(text));
  else if (word === 'callend') handlers.onHangup(spellingOf(text));
  else handlers.onIgnored('text that is neither JSON nor "stop"');
}

function decodeObject(
  message: JsonObject,
  handlers: AgentMessageHandlers,
  onEvent: (event: ServerEvent) => void,
): void {
  const event = eventIn(message) ?? eventInside(message);
  if (event) onEvent(event);
  else handlers.onIgnored('JSON without an event');
}

/** The first of the keys that holds a name; a bare envelope (`{"type":"event","event":"clear"}`) names nothing. */
function eventIn(message: JsonObject): ServerEvent | undefined {
  const key = EVENT_KEYS.find((each) => typeof message[each] === 'string' && !isEnvelope(message[each]));
  if (!key) return undefined;
  const text = String(message[key]);
  return { key, name: nameOf(text), spelling: spellingOf(text), message };
}

/** An event inside an envelope: `{"event":{"type":"clear"}}`, `{"type":"message","data":{"event":"clear"}}`. */
function eventInside(message: JsonObject): ServerEvent | undefined {
  for (const key of ['event', 'data', 'message', 'payload']) {
    const inner = message[key];
    const event = isObject(inner) ? eventIn(inner) : undefined;
    if (event) return event;
  }
  return undefined;
}

const isEnvelope = (name: string): boolean => ['event', 'message'].includes(nameOf(name));

const spellingOf = (text: string): string => text.trim().slice(0, MAX_SHOWN_CHARS).toLowerCase();
const nameOf = (text: string): string => spellingOf(text).replace(/[\s_-]/g, '');

/** The events that mean the same in every protocol. */
export function decodeEvent({ key, name, spelling, message }: ServerEvent, handlers: AgentMessageHandlers): void {
  if (name === 'startmediastreaming') handlers.onMediaStart();
  else if (name === 'media') decodeMedia(message['media'], handlers);
  else if (INTERRUPTIONS.has(name)) handlers.onInterruption(`${key}:${spelling}`);
  else if (name === 'callend') handlers.onHangup(spelling);
  else if (name === 'mark') decodeMark(message['mark'], handlers);
  else if (name === 'error') handlers.onError(errorIn(message));
  else if (REPORTS.has(name)) handlers.onReport(spelling);
  else handlers.onIgnored(`event "${spelling}"`);
}

function decodeMark(mark: unknown, handlers: AgentMessageHandlers): void {
  const name = isObject(mark) && typeof mark['name'] === 'string' ? mark['name'] : '';
  if (name.length <= MAX_MARK_NAME_CHARS) handlers.onMark(name);
  else handlers.onIgnored(`a mark with a name of ${name.length} characters`);
}

/** Speech in base64, in the format that the protocol has for its own. */
function decodeMedia(media: unknown, handlers: AgentMessageHandlers): void {
  const payload = isObject(media) ? media['payload'] : undefined;
  if (typeof payload !== 'string') {
    handlers.onIgnored('media without a payload');
    return;
  }
  const bytes = decodeBase64(payload);
  if (!bytes) handlers.onIgnored('media that is not base64');
  else if (bytes.length > 0) handlers.onAudio(bytes);
}

/** RFC 4648 §4, with or without padding. Undefined for anything else. */
function decodeBase64(text: string): Buffer | undefined {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const digits = text.length - padding;
  if (digits % 4 === 1 || (padding > 0 && text.length % 4 !== 0)) return undefined;
  const bytes = Buffer.from(text, 'base64');
  // Node skips over what is not of the alphabet, and then there are too few bytes.
  return bytes.length === Math.floor((digits * 3) / 4) ? bytes : undefined;
}

/** `{message}`, or an error of its own shape: `{error: {message}}`, `{error: "…"}`. */
function errorIn(message: JsonObject): string {
  const { error } = message;
  const said = [message['message'], isObject(error) ? error['message'] : error, message['detail']];
  return said.find((each) => typeof each === 'string') ?? 'no message';
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
