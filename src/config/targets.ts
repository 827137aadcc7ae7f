import { readApiKeys, type KeySources } from './sections/api-key.js';
import { showValue } from './faults.js';
import * as formats from './formats.js';
import { present } from './present.js';
import { Section } from './section.js';
import type { AgentTarget } from '../pranthora/agent-target.js';
import type { RouteMode, Target, TargetEncoding } from './types.js';

/** What a target has unless it says otherwise. */
interface Inherited {
  readonly mode: RouteMode;
  readonly encoding: TargetEncoding;
  readonly url: string;
  readonly apiKeys: readonly string[];
}

const MAX_TARGETS = 16;

/**
 * The targets of a route: its one agent or workflow, or a list of them. What one does not say of itself its route does,
 * and what that does not, Pranthora's settings (`defaults`).
 */
export function readTargets(
  section: Section,
  defaults: { readonly url: string; readonly apiKeys: readonly string[]; readonly keySources: KeySources },
): Target[] {
  const { keySources } = defaults;
  const inherited = readConnection(section, { mode: 'websocket', encoding: 'mulaw', ...defaults }, keySources);
  const kind = section.exactlyOne(['agentId', 'workflowId', 'targets']);
  const targets = kind === 'targets' ? readList(section, inherited, keySources) : readOne(section, kind, inherited);
  checkEncoding(section, targets);
  return targets;
}

function readList(section: Section, inherited: Inherited, keySources: KeySources): Target[] {
  const list = section.read('targets', formats.anyList) ?? [];
  if (list.length === 0 || list.length > MAX_TARGETS) {
    section.fault('targets', 'wrong number of targets', { value: `${list.length}`, allowed: `1 to ${MAX_TARGETS}` });
  }
  return list.slice(0, MAX_TARGETS).flatMap((entry, index) => {
    const target = Section.of(`${section.path}.targets[${index}]`, entry, section.faults);
    return target ? readTarget(target, inherited, keySources) : [];
  });
}

function readTarget(section: Section, inherited: Inherited, keySources: KeySources): Target[] {
  const kind = section.exactlyOne(['agentId', 'workflowId']);
  const weight = section.read('weight', formats.wholeNumber(0, 1000));
  const read = readOne(section, kind, readConnection(section, inherited, keySources));
  checkEncoding(section, read);
  section.end();
  return read.map((target) => ({ ...target, ...present({ weight }) }));
}

function readOne(section: Section, kind: 'agentId' | 'workflowId' | undefined, connection: Inherited): Target[] {
  const id = kind && section.read(kind, formats.pranthoraId);
  if (id === undefined) return [];
  const which: AgentTarget = kind === 'agentId' ? { agentId: id } : { workflowId: id };
  const { mode, encoding, url, apiKeys } = connection;
  // What is inherited where it is not for is as good as none.
  return [{ ...which, mode, encoding: mode === 'websocket' ? 'mulaw' : encoding, url, apiKeys }];
}

function readConnection(section: Section, inherited: Inherited, keySources: KeySources): Inherited {
  return {
    mode: section.read('mode', formats.oneOf('websocket', 'handshake', 'telephony')) ?? inherited.mode,
    encoding: section.read('encoding', formats.oneOf('mulaw', 'alaw', 'auto')) ?? inherited.encoding,
    url: section.read('url', formats.webSocketUrl) ?? inherited.url,
    apiKeys: readApiKeys(section, inherited.apiKeys, keySources),
  };
}

/** An encoding that none of those it is for can have is not what the operator meant. */
function checkEncoding(section: Section, targets: readonly Target[]): void {
  const encoding = section.raw('encoding');
  const isMeant = encoding === undefined || encoding === 'mulaw' || targets.length === 0;
  if (isMeant || targets.some(({ mode }) => mode !== 'websocket')) return;
  const value = showValue(encoding);
  section.fault('encoding', 'mode websocket has no encoding', { value, allowed: 'mode: telephony or handshake' });
}
