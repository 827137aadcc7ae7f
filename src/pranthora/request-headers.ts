/** What every request to Pranthora says of who asks, POST or upgrade: the key, and the call's UUID where it is told. */
export function requestHeaders(about: {
  readonly apiKey: string;
  readonly agentCallId?: string;
}): Record<string, string> {
  const { apiKey, agentCallId } = about;
  return { 'x-api-key': apiKey, ...(agentCallId !== undefined && { 'x-pranthora-callid': agentCallId }) };
}
