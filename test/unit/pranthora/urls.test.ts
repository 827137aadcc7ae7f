import { expect, it } from 'vitest';
import { handshakeUrl, mediaStreamUrl, webMediaStreamUrl } from '../../../src/pranthora/urls.js';

it.each([
  ['wss://api.pranthora.com', { agentId: 'a1' }, 'wss://api.pranthora.com/api/call/web-media-stream?agent_id=a1'],
  ['ws://[::1]:8080/', { workflowId: 'w 1&x' }, 'ws://[::1]:8080/api/call/web-media-stream?workflow_id=w+1%26x'],
  ['wss://host/proxy//?old=1#x', { agentId: 'ä/' }, 'wss://host/proxy/api/call/web-media-stream?agent_id=%C3%A4%2F'],
])('%s, %o, pure WebSocket', (baseUrl, target, url) => expect(webMediaStreamUrl(baseUrl, target)).toBe(url));

it.each([
  ['wss://api.pranthora.com', { agentId: 'a1' }, 'wss://api.pranthora.com/api/call/media-stream/agents/a1'],
  ['ws://h:1/p/?old=1#x', { workflowId: 'w 1/?' }, 'ws://h:1/p/api/call/media-stream/workflows/w%201%2F%3F'],
])('%s, %o, telephony', (baseUrl, target, url) => expect(mediaStreamUrl(baseUrl, target)).toBe(url));

it.each([
  ['wss://api.pranthora.com', 'https://api.pranthora.com/api/call'],
  ['ws://[::1]:8080/p/?x#y', 'http://[::1]:8080/p/api/call'],
])('%s, handshake', (baseUrl, url) => expect(handshakeUrl(baseUrl).href).toBe(url));

it.each(['not a url', 'https://host', 'ftp://host'])('%s has no handshake', (baseUrl) =>
  expect(() => handshakeUrl(baseUrl)).toThrow(TypeError),
);
