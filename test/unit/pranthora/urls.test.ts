import { expect, it } from 'vitest';
import { webMediaStreamUrl } from '../../../src/pranthora/urls.js';

it.each([
  ['wss://api.pranthora.com', { agentId: 'a1' }, 'wss://api.pranthora.com/api/call/web-media-stream?agent_id=a1'],
  ['ws://127.0.0.1:9000/', { workflowId: 'w 1' }, 'ws://127.0.0.1:9000/api/call/web-media-stream?workflow_id=w+1'],
  ['wss://host/eu//', { agentId: 'a&b=c#d' }, 'wss://host/eu/api/call/web-media-stream?agent_id=a%26b%3Dc%23d'],
  ['wss://host/?x=1#y', { agentId: 'a' }, 'wss://host/api/call/web-media-stream?agent_id=a'],
])('%s', (base, target, url) => {
  expect(webMediaStreamUrl(base, target)).toBe(url);
});
