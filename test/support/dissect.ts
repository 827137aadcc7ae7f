import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isInstalled, withTemporaryDirectory } from './tools.js';

export const hasTshark = (): boolean => isInstalled('tshark');

/** Any: Wireshark is told what it carries. */
const PORT = 4_001;
/** LINKTYPE_RAW: packets begin with their IP header. */
const RAW_IP = 101;

/**
 * What Wireshark makes of RTCP packets: for each, the values of `fields`, those of several packets in a compound one
 * separated by commas.
 */
export async function dissectRtcp(packets: readonly Buffer[], fields: readonly string[]): Promise<string[][]> {
  let lines = '';
  await withTemporaryDirectory((directory) => {
    const file = join(directory, 'rtcp.pcap');
    writeFileSync(file, Buffer.concat([fileHeader(), ...packets.map(record)]));
    const wanted = fields.flatMap((field) => ['-e', field]);
    const options = ['-r', file, '-d', `udp.port==${PORT},rtcp`, '-T', 'fields', '-E', 'separator=|', ...wanted];
    lines = execFileSync('tshark', options, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return Promise.resolve();
  });
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('|'));
}

/** The format's magic number, version 2.4, no time zone, no accuracy, packets of any length. */
function fileHeader(): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2_c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65_535, 16);
  header.writeUInt32LE(RAW_IP, 20);
  return header;
}

/** One packet with an IPv4 and a UDP header, both without checksum. */
function record(payload: Buffer): Buffer {
  const header = Buffer.alloc(16 + 20 + 8);
  const length = 28 + payload.length;
  header.writeUInt32LE(length, 8);
  header.writeUInt32LE(length, 12);
  header.writeUInt16BE(0x4500, 16);
  header.writeUInt16BE(length, 18);
  header.writeUInt16BE(0x4011, 24);
  header.writeUInt32BE(0x7f00_0001, 28);
  header.writeUInt32BE(0x7f00_0001, 32);
  header.writeUInt16BE(PORT, 36);
  header.writeUInt16BE(PORT, 38);
  header.writeUInt16BE(8 + payload.length, 40);
  return Buffer.concat([header, payload]);
}
