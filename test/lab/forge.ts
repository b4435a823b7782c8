/** A process that pretends to be the kernel: a message to its own group of uevents, which root can send. */
// biome-ignore lint/style/noRestrictedImports: a call that only this test makes
import koffi from 'koffi';

const libc = koffi.load(null);
const socket = libc.func('int socket(int domain, int type, int protocol)');
const sendto = libc.func(
  'long sendto(int fd, void *buffer, unsigned long length, int flags, void *to, unsigned int toLength)',
);
const close = libc.func('int close(int fd)');

const AF_NETLINK = 16;
const SOCK_DGRAM = 2;
const NETLINK_KOBJECT_UEVENT = 15;
const KERNEL_GROUP = 1;

/** Sends a well-formed uevent. Throws where it could not be sent: then nothing would be shown. */
export function forgeUevent(head: string, subsystem: string): void {
  const [action, devpath] = head.split('@');
  const texts = [head, `ACTION=${action}`, `DEVPATH=${devpath}`, `SUBSYSTEM=${subsystem}`];
  const bytes = new TextEncoder().encode(`${texts.join('\0')}\0`);
  const to = Buffer.alloc(12);
  to.writeUInt16LE(AF_NETLINK, 0);
  to.writeUInt32LE(KERNEL_GROUP, 8);
  const fd = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT) as number;
  const sent = Number(sendto(fd, bytes, bytes.length, 0, to, to.length));
  close(fd);
  if (sent !== bytes.length) throw new Error(`sendto returned ${sent}`);
}
