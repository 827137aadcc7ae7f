import type { AgentProtocol } from './protocol.js';
import { decodeEvent, decodeText } from './server-text.js';

/** Control messages are under 100 bytes; speech in JSON is longer, and holds up the other calls while it is read. */
const MAX_TEXT_BYTES = 1024 * 1024;

/**
 * The pure WebSocket protocol: binary messages are 16 kHz mono 16-bit little-endian PCM both ways, text messages come
 * from the server alone (it takes a text message from the client for a broken one).
 */
export const webSocketProtocol: AgentProtocol = {
  format: 'pcm16k',
  clientBegins: false,
  // The longest utterance in one message that is believable: 8 minutes of speech.
  maxMessageBytes: 16 * 1024 * 1024,
  decode(data, isBinary, handlers) {
    if (isBinary) {
      if (data.length > 0) handlers.onAudio(data);
    } else if (data.length > MAX_TEXT_BYTES) {
      handlers.onIgnored(`text of ${data.length} bytes`);
    } else {
      decodeText(data.toString('utf8'), handlers, (event) => decodeEvent(event, handlers));
    }
  },
  opening: () => undefined,
  encodeAudio: (frame) => frame,
  markEcho: () => undefined,
  digit: () => undefined,
  closing: () => undefined,
};
