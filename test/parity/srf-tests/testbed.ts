import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';

/** One container of drachtio-srf's test bed, as far as it matters without containers. */
export interface Service {
  /** Its host name. */
  readonly name: string;
  readonly address: string;
  readonly program: string;
  /** Paths are those of this machine. */
  readonly args: readonly string[];
  /** The port on 127.0.0.1 that tests expect its port 9022 at. */
  readonly wirePort: number | undefined;
}

interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
}

interface ComposeService {
  readonly command: string;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly networks: Readonly<Record<string, { readonly ipv4_address: string }>>;
}

/** The services of a docker-compose file. */
export function readTestbed(file: string): Service[] {
  const { services } = parse(readFileSync(file, 'utf8')) as ComposeFile;
  return Object.entries(services).map(([name, service]) => {
    const [program = '', ...args] = wordsOf(service.command);
    return {
      name,
      address: Object.values(service.networks)[0]?.ipv4_address ?? '',
      program,
      args: args.map((arg) => hostPath(arg, service.volumes ?? [], dirname(file))),
      wirePort: wirePortOf(service.ports ?? []),
    };
  });
}

/** A path inside a container as the path outside, by volumes of the form `outside:inside`. */
export function hostPath(path: string, volumes: readonly string[], base: string): string {
  for (const volume of volumes) {
    const [outside = '', inside = ''] = volume.split(':');
    if (path.startsWith(`${inside}/`)) return resolve(base, outside) + path.slice(inside.length);
  }
  return path;
}

/** Splits at blanks outside quotes. */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

function wirePortOf(ports: readonly string[]): number | undefined {
  const port = ports.map((each) => /^(\d+):9022\/tcp$/.exec(each)?.[1]).find((each) => each !== undefined);
  return port === undefined ? undefined : Number(port);
}
