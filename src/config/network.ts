import { present } from './present.js';
import type { PranthoraConfig } from './types.js';

/** How connections to Pranthora are made, in the form `AgentNetwork` takes it. */
export function networkOf({ allowHosts, tls, proxy, noProxy = [] }: PranthoraConfig): {
  readonly allowHosts?: readonly string[];
  readonly tls?: { readonly ca?: string; readonly pinnedSha256?: readonly string[]; readonly servername?: string };
  readonly proxy?: { readonly url: string; readonly noProxy: readonly string[] };
} {
  return present({
    allowHosts,
    tls: tls && present({ ca: tls.caPem, pinnedSha256: tls.pinnedSha256, servername: tls.servername }),
    proxy: proxy === undefined ? undefined : { url: proxy, noProxy },
  });
}
