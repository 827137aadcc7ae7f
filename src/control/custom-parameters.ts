import type { AgentAddress } from '../bridge/messages.js';
import type { CustomParametersConfig } from '../config/types.js';
import type { CallFacts } from './call-record.js';

/** What the telephony protocol's `start` tells of the call, as far as the operator lets it. */
export function customParameters(
  wanted: CustomParametersConfig,
  { from, fromName, assertedIdentity, to, did, callId }: CallFacts,
  header: (name: string) => string | undefined,
): Record<string, string> {
  const { headers = [], ...flags } = wanted;
  const known = { from, fromName, assertedIdentity, to, did, sipCallId: callId };
  const told: [string, string][] = [];
  for (const [name, value] of Object.entries(known)) {
    if (value !== undefined && flags[name as keyof typeof known]) told.push([name, value]);
  }
  for (const name of headers) {
    const value = header(name);
    if (value !== undefined) told.push([name, value]);
  }
  return Object.fromEntries(told);
}

/** What every agent of a call is told about it. */
export function aboutCall(
  facts: CallFacts,
  wanted: { readonly customParameters: CustomParametersConfig; readonly sendCallId: boolean },
  header: (name: string) => string | undefined,
): Pick<AgentAddress, 'callSid' | 'agentCallId' | 'customParameters'> {
  const { callId, agentCallId } = facts;
  const told = customParameters(wanted.customParameters, facts, header);
  return { callSid: callId, ...(wanted.sendCallId && { agentCallId }), customParameters: told };
}
