import { handshakeBroken, handshakeRefused, type AgentEnding } from './endings.js';
import type { AgentNetwork } from './network.js';
import { isObject } from './protocols/server-text.js';

/** A WebSocket, and what is spoken there. */
export interface AgentEndpoint {
  readonly url: string;
  readonly protocol: 'websocket' | 'telephony';
}

const MAX_URL_CHARS = 4_096;
const MAX_SHOWN_CHARS = 100;

/**
 * Reads `{"websocket_url": …}`. The URL is used as given, if it leads where the API key may be shown: over TLS if the
 * handshake was, and to a host that `network` allows.
 * @param base the configured base URL.
 */
export function readHandshakeAnswer(
  body: Buffer,
  status: number,
  base: URL,
  network: AgentNetwork,
): AgentEndpoint | AgentEnding {
  const text = webSocketUrlIn(body);
  if (text === undefined) return handshakeBroken('something other than JSON with a websocket_url', status);
  const url = text.length <= MAX_URL_CHARS && URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !['ws:', 'wss:'].includes(url.protocol) || url.username + url.password + url.hash !== '') {
    return handshakeRefused('is not a plain ws: or wss: URL');
  }
  if (base.protocol === 'wss:' && url.protocol === 'ws:') {
    return handshakeRefused('gives up the encryption (ws:) of the configured wss:');
  }
  if (!network.allows(url, base)) {
    return handshakeRefused(`leads to a host that is not allowed, ${shown(url.host)}; pranthora.allowHosts allows it`);
  }
  return { url: text, protocol: protocolAt(url) };
}

function webSocketUrlIn(body: Buffer): string | undefined {
  try {
    // What is trimmed is a byte order mark, which JSON may not begin with.
    const answer: unknown = JSON.parse(body.toString('utf8').trim());
    const url = isObject(answer) ? answer['websocket_url'] : undefined;
    return typeof url === 'string' ? url : undefined;
  } catch {
    return undefined;
  }
}

/** The guide has the telephony protocol spoken at whatever URL is returned; one alone is known to be the other's. */
function protocolAt(url: URL): AgentEndpoint['protocol'] {
  return url.pathname.split('/').includes('web-media-stream') ? 'websocket' : 'telephony';
}

/** A URL's host is ASCII already; it only needs a bound. */
const shown = (host: string): string => (host.length > MAX_SHOWN_CHARS ? `${host.slice(0, MAX_SHOWN_CHARS)}…` : host);
