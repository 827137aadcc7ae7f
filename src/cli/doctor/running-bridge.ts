/** A bridge answers at once; whatever else has its port is not waited for. */
const PATIENCE_MS = 2_000;

/** The version of the bridge that answers `/health` there; undefined when none does. */
export async function runningVersion({ host, port }: { host: string; port: number }): Promise<string | undefined> {
  if (port === 0) return undefined;
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  const authority = reachable.includes(':') ? `[${reachable}]:${port}` : `${reachable}:${port}`;
  try {
    const response = await fetch(`http://${authority}/health`, { signal: AbortSignal.timeout(PATIENCE_MS) });
    const health: unknown = await response.json();
    if (typeof health !== 'object' || health === null || !('components' in health) || !('version' in health)) return;
    return String(health.version);
  } catch {
    // Nobody there, or somebody else: the ports will tell.
    return undefined;
  }
}
