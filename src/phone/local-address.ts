import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { errorText } from '../error-text.js';
import { LocalAddresses } from '../sip-agent/index.js';

/**
 * Which address of this machine reaches the host of a SIP URI: what the test caller has to be bound to.
 * Rejects, naming the host, when it has no address or there is no route to it.
 */
export async function localAddressTowards(uri: string): Promise<string> {
  const host = hostOf(uri);
  if (host === undefined) throw new Error(`Not a SIP URI: ${uri}`);
  try {
    const remote = isIP(host) === 0 ? (await lookup(host)).address : host;
    return await new LocalAddresses().find(remote);
  } catch (error) {
    throw new Error(`No way to ${host}: ${errorText(error)}`, { cause: error });
  }
}

/** `sip:100@host:5060;transport=tcp` → `host`; an IPv6 literal without its brackets. */
export function hostOf(uri: string): string | undefined {
  const match = /^sips?:(?:[^@\s]*@)?(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?(?:[;?]\S*)?$/i.exec(uri);
  return match?.[1] ?? match?.[2];
}
