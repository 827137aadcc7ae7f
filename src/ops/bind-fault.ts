/** Why the system refuses an address and port to listen on, in words for an operator. */
export function bindFault(error: NodeJS.ErrnoException): string {
  if (error.code === 'EADDRINUSE') return 'in use by another program (or is the bridge running already?)';
  if (error.code === 'EACCES') return 'not allowed: ports below 1024 need a right this user does not have';
  if (error.code === 'EADDRNOTAVAIL') return 'not an address of this machine';
  return error.message;
}

/** A listener that could not be opened: an operator's matter, in one line that names the setting. */
export class ListenFault extends Error {
  override readonly name = 'ListenFault';

  constructor(
    /** Path in the configuration. */
    readonly setting: string,
    where: string,
    cause: NodeJS.ErrnoException,
  ) {
    super(`${setting}: ${where}: ${bindFault(cause)}`, { cause });
  }
}
