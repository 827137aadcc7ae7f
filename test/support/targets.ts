import type { Target } from '../../src/config/types.js';

const CONNECTION = {
  mode: 'websocket',
  encoding: 'mulaw',
  url: 'wss://pranthora.example',
  apiKeys: ['key'],
} as const;

type Changes = Partial<Pick<Target, 'mode' | 'encoding' | 'url' | 'apiKeys' | 'weight'>>;

/** A target of a route: an agent at an example's Pranthora. */
export const agent = (agentId: string, changes: Changes = {}): Target => ({ agentId, ...CONNECTION, ...changes });

export const workflow = (workflowId: string, changes: Changes = {}): Target => ({
  workflowId,
  ...CONNECTION,
  ...changes,
});
