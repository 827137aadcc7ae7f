/**
 * Whether `url` is reached through the proxy. `noProxy` names the exceptions in the form of the `NO_PROXY` variable:
 * `host` and `.host` mean the host and what is under it, `host:port` only that port of it, `*` everything.
 */
export function isProxied(url: URL, noProxy: readonly string[]): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? '443' : url.port;
  return !noProxy.some((exception) => isException(exception.toLowerCase(), host, port));
}

function isException(exception: string, host: string, port: string): boolean {
  if (exception === '*') return true;
  const [name, onlyPort] = splitPort(exception);
  if (onlyPort !== undefined && onlyPort !== port) return false;
  const suffix = name.replace(/^\*?\./, '');
  return suffix !== '' && (host === suffix || host.endsWith(`.${suffix}`));
}

/** `host:port`, `[address]:port`, or without a port; an IPv6 address without brackets has none. */
function splitPort(text: string): [host: string, port?: string] {
  const match = /^\[([^\]]*)\](?::(\d+))?$|^([^:]*):(\d+)$/.exec(text);
  if (!match) return [text];
  const port = match[2] ?? match[4];
  return port === undefined ? [match[1] ?? ''] : [match[1] ?? match[3] ?? '', port];
}
