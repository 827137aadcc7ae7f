import { showValue } from './faults.js';
import type { Fault } from './faults.js';
import type { BridgeConfig } from './types.js';

/** What the configuration may ask for and this version cannot do: faults, so that nobody finds out by a call. */
export function unsupported(config: BridgeConfig): Fault[] {
  const { sip } = config;
  return [
    ...sip.listen.flatMap((uri, index) =>
      /^tls:/i.test(uri) ? [unavailable(`sip.listen[${index}]`, uri, 'udp:// and tcp://')] : [],
    ),
  ];
}

function unavailable(path: string, value: string, allowed: string): Fault {
  return { path, message: 'not available in this version', value: showValue(value), allowed };
}
