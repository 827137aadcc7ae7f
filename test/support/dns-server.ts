import { createSocket, type Socket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { SystemNames } from '../../src/sip-agent/transport/name-cache.js';

const TYPES = { 1: 'A', 33: 'SRV', 35: 'NAPTR' } as const;
const NAME_ERROR = 3;

/** `A name address`, `SRV name priority weight port target`, `NAPTR name order preference flags service replacement`. */
export type DnsRecord = readonly [type: 'A' | 'SRV' | 'NAPTR', name: string, ...data: (string | number)[]];

/** A DNS server on loopback that knows what it is told (RFC 1035, 2782, 3403). */
export class DnsServer {
  /** What it was asked, `type name`. */
  readonly asked: string[] = [];
  records: readonly DnsRecord[] = [];
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (query, { port, address }) => socket.send(this.#answer(query), port, address));
  }

  static async open(): Promise<DnsServer> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new DnsServer(socket);
  }

  /** The machine's names, if this were its only server. */
  names(): SystemNames {
    const resolver = new Resolver({ timeout: 500, tries: 1 });
    resolver.setServers([`127.0.0.1:${this.#socket.address().port}`]);
    return new (class extends SystemNames {
      override addresses(name: string): Promise<string[]> {
        return resolver.resolve4(name);
      }
    })(resolver);
  }

  async close(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }

  #answer(query: Buffer): Buffer {
    const { name, end } = readName(query);
    const type = TYPES[query.readUInt16BE(end) as keyof typeof TYPES] as DnsRecord[0] | undefined;
    this.asked.push(`${type ?? query.readUInt16BE(end)} ${name}`);
    const found = this.records.filter((record) => record[0] === type && record[1] === name);
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(0x8580 | (found.length === 0 ? NAME_ERROR : 0), 2);
    header.writeUInt16BE(found.length, 6);
    header.writeUInt32BE(0, 8);
    return Buffer.concat([header, query.subarray(12, end + 4), ...found.map((record) => encode(query, end, record))]);
  }
}

function readName(query: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
}

function encode(query: Buffer, end: number, [type, , ...data]: DnsRecord): Buffer {
  const body = rdata(type, data);
  const fixed = Buffer.alloc(12);
  // The name of the question, at octet 12.
  fixed.writeUInt16BE(0xc00c, 0);
  query.copy(fixed, 2, end, end + 4);
  fixed.writeUInt32BE(60, 6);
  fixed.writeUInt16BE(body.length, 10);
  return Buffer.concat([fixed, body]);
}

function rdata(type: DnsRecord[0], data: readonly (string | number)[]): Buffer {
  const texts = data.map(String);
  if (type === 'A') return Buffer.from((texts[0] ?? '').split('.').map(Number));
  const numbers = (count: number) => Buffer.concat(texts.slice(0, count).map(uint16));
  if (type === 'SRV') return Buffer.concat([numbers(3), encodeName(texts[3] ?? '')]);
  const [, , flags = '', service = '', replacement = ''] = texts;
  return Buffer.concat([numbers(2), ...[flags, service, ''].map(encodeText), encodeName(replacement)]);
}

function uint16(text: string): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(Number(text));
  return bytes;
}

function encodeText(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')]);
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  return Buffer.concat([...labels.map(encodeText), Buffer.from([0])]);
}
