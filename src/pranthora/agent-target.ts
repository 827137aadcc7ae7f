/** Which conversation a connection opens: exactly one of an agent's or a workflow's id. */
export type AgentTarget =
  { readonly agentId: string; readonly workflowId?: never } | { readonly workflowId: string; readonly agentId?: never };

/** The id alone, of something that has more to say of its agent. */
export const agentTargetOf = ({ agentId, workflowId }: AgentTarget): AgentTarget =>
  agentId === undefined ? { workflowId } : { agentId };

/** For people, and as a key: `agent` or `workflow`, and its id. */
export const describeTarget = ({ agentId, workflowId }: AgentTarget): string =>
  agentId === undefined ? `workflow ${workflowId}` : `agent ${agentId}`;
