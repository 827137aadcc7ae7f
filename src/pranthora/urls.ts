import type { AgentTarget } from './agent-target.js';

/**
 * The pure WebSocket endpoint of `target` (guide, "Integration Mode 1").
 * @param baseUrl `ws:` or `wss:`, with or without a path in front of the API.
 * @throws TypeError when `baseUrl` is not a URL.
 */
export function webMediaStreamUrl(baseUrl: string, target: AgentTarget): string {
  const url = apiUrl(baseUrl, 'web-media-stream');
  url.search = new URLSearchParams(
    'agentId' in target ? { agent_id: target.agentId } : { workflow_id: target.workflowId },
  ).toString();
  return url.href;
}

/** The telephony endpoint of `target` (guide, "Telephony Protocol"). Parameters and errors as above. */
export function mediaStreamUrl(baseUrl: string, target: AgentTarget): string {
  const [kind, id] = 'agentId' in target ? ['agents', target.agentId] : ['workflows', target.workflowId];
  return apiUrl(baseUrl, `media-stream/${kind}/${encodeURIComponent(id)}`).href;
}

/** Where a handshake goes (guide, "Integration Mode 2"): `http:` for `ws:` and `https:` for `wss:`. */
export function handshakeUrl(baseUrl: string): URL {
  const url = apiUrl(baseUrl, '');
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') throw new TypeError('not a WebSocket URL');
  url.protocol = url.protocol === 'ws:' ? 'http:' : 'https:';
  return url;
}

function apiUrl(baseUrl: string, path: string): URL {
  const url = new URL(baseUrl);
  const base = url.pathname.replace(/\/+$/, '');
  url.pathname = path === '' ? `${base}/api/call` : `${base}/api/call/${path}`;
  url.search = '';
  url.hash = '';
  return url;
}
