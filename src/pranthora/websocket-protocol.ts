import type { AgentProtocol } from './protocol.js';
import { decodeEvent, decodeText } from './server-text.js';

/** The control messages known are under 100 bytes; what is much longer is not worth the parsing. */
const MAX_TEXT_BYTES = 64 * 1024;

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
      decodeText(data.toString('utf8'), handlers, (key, name, message) => {
        decodeEvent(key, name, message, handlers);
      });
    }
  },
  opening: () => undefined,
  encodeAudio: (frame) => frame,
  markEcho: () => undefined,
  closing: () => undefined,
};
