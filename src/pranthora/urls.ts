/** Which conversation a connection opens: exactly one of an agent's or a workflow's id. */
export type AgentTarget = { readonly agentId: string } | { readonly workflowId: string };

/**
 * The pure WebSocket endpoint of `target` (guide, "Integration Mode 1").
 * @param baseUrl `ws:` or `wss:`, with or without a path in front of the API.
 * @throws TypeError when `baseUrl` is not a URL.
 */
export function webMediaStreamUrl(baseUrl: string, target: AgentTarget): string {
  const url = new URL(baseUrl);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/api/call/web-media-stream`;
  url.hash = '';
  url.search = new URLSearchParams(
    'agentId' in target ? { agent_id: target.agentId } : { workflow_id: target.workflowId },
  ).toString();
  return url.href;
}
