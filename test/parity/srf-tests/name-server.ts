import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const HEADER_BYTES = 12;
const TYPE_A = 1;
const NAME_ERROR = 3;

/**
 * Stands for docker's name server, as a resolver that does not read /etc/hosts needs one: knows the addresses of some
 * names (RFC 1035), and nothing else. Takes one question a query. Returns the way to close it.
 */
export async function startNameServer(address: string, hosts: ReadonlyMap<string, string>): Promise<() => void> {
  const socket = createSocket('udp4');
  socket.on('message', (query, { port, address: from }) => {
    const answer = answerTo(query, hosts);
    if (answer) socket.send(answer, port, from);
  });
  socket.bind(53, address);
  await once(socket, 'listening');
  return () => {
    socket.close();
  };
}

function answerTo(query: Buffer, hosts: ReadonlyMap<string, string>): Buffer | undefined {
  if (query.length < HEADER_BYTES + 5) return undefined;
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const question = query.subarray(HEADER_BYTES, at + 5);
  const address = hosts.get(labels.join('.').toLowerCase());
  const isAnswered = address !== undefined && query.readUInt16BE(at + 1) === TYPE_A;
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  // A response, recursion desired and available; names it knows have no records of other types.
  header.writeUInt16BE(0x8180 | (address === undefined ? NAME_ERROR : 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(isAnswered ? 1 : 0, 6);
  return Buffer.concat([header, question, ...(isAnswered ? [addressRecord(address)] : [])]);
}

/** The name of the question, type A, class IN, a minute, four octets. */
function addressRecord(address: string): Buffer {
  return Buffer.from([0xc0, HEADER_BYTES, 0, TYPE_A, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)]);
}
