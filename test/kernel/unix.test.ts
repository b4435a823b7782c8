/** Files over AF_UNIX sockets, between two ends of this process and on real addresses. */
import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { unixCalls } from '../../src/kernel/native/unix.ts';
import type { Fd } from '../../src/kernel/port.ts';

const work = mkdtempSync(join(tmpdir(), 'autodomain-unix-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array): string => new TextDecoder().decode(data);

/** Has the file close-on-exec? From the kernel's own word on it. */
function isCloseOnExec(fd: number): boolean {
  const flags = /flags:\s+0([0-7]+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
  return (Number.parseInt(flags ?? '0', 8) & 0o2000000) !== 0;
}

describe('sendWithFds and receiveWithFds', () => {
  it('carry bytes and open files over a stream, and the files get CLOEXEC', () => {
    const [left, right] = unixCalls.socketPair('stream');
    const paths = ['a', 'b', 'c'].map((name) => join(work, name));
    const files = paths.map((path) => {
      writeFileSync(path, path);
      return openSync(path, 'r') as Fd;
    });
    expect(unixCalls.sendWithFds(left, bytes('three'), files)).toBe(5);
    const received = unixCalls.receiveWithFds(right);
    expect(text(received.bytes)).toBe('three');
    expect(received.truncated).toBe(false);
    expect(received.fds.map((fd) => fstatSync(fd).ino)).toEqual(
      files.map((fd) => fstatSync(fd).ino),
    );
    expect(received.fds.every(isCloseOnExec)).toBe(true);
    for (const fd of [...files, ...received.fds, left]) unixCalls.close(fd);
    expect(unixCalls.receiveWithFds(right).bytes, 'the other side has closed').toHaveLength(0);
    unixCalls.close(right);
  });

  it('carry as many files as the kernel allows, and say so where nothing is there', () => {
    const [left, right] = unixCalls.socketPair('datagram');
    expect(() => unixCalls.receiveWithFds(right)).toThrow('EAGAIN');
    const file = openSync('/dev/null', 'r') as Fd;
    unixCalls.sendWithFds(
      left,
      bytes('x'),
      Array.from({ length: 253 }, () => file),
    );
    const { fds } = unixCalls.receiveWithFds(right);
    expect(fds).toHaveLength(253);
    for (const fd of [...fds, file, left, right]) unixCalls.close(fd);
  });

  it.each([join(work, 'socket'), `@autodomain-test-${process.pid}`])('reach %s', (address) => {
    const [sender, receiver] = [unixCalls.socket('datagram'), unixCalls.socket('datagram')];
    expect(() => unixCalls.sendWithFds(sender, bytes('x'), [], address)).toThrow(
      /ENOENT|ECONNREFUSED/,
    );
    unixCalls.bind(receiver, address);
    unixCalls.sendWithFds(sender, bytes('hello'), [], address);
    expect(text(unixCalls.receiveWithFds(receiver).bytes)).toBe('hello');
    unixCalls.close(sender);
    unixCalls.close(receiver);
  });

  it('give EAGAIN rather than wait for a receiver that does not read', () => {
    const [left, right] = unixCalls.socketPair('datagram');
    const flood = (): void => {
      for (let sent = 0; sent < 100_000; sent += 1) unixCalls.sendWithFds(left, bytes('x'), []);
    };
    expect(flood).toThrow('EAGAIN');
    unixCalls.close(left);
    unixCalls.close(right);
  });
});

describe('pipes', () => {
  it('are hung up with the last copy of the other end', () => {
    const [readEnd, writeEnd] = unixCalls.pipe();
    const [left, right] = unixCalls.socketPair('datagram');
    unixCalls.sendWithFds(left, bytes('x'), [writeEnd]);
    unixCalls.close(writeEnd);
    expect(unixCalls.isHungUp(readEnd)).toBe(false);
    const { fds } = unixCalls.receiveWithFds(right);
    for (const fd of fds) closeSync(fd);
    expect(unixCalls.isHungUp(readEnd)).toBe(true);
    for (const fd of [readEnd, left, right]) unixCalls.close(fd);
  });
});
