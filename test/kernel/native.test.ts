/** The native port on files of this machine: rooted in a directory, it shows that directory as `/`. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nativeSyscalls } from '../../src/kernel/native/syscalls.ts';

let root = '';

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'native-')));
  mkdirSync(join(root, 'sys/devices/a'), { recursive: true });
  writeFileSync(join(root, 'sys/devices/a/vendor'), '0x8086\n');
  symlinkSync('devices/a', join(root, 'sys/first'));
});

afterEach(() => rmSync(root, { recursive: true }));

describe('the native port in a directory', () => {
  it('reads, follows and names paths as if the directory were the root', async () => {
    const syscalls = nativeSyscalls({ root });
    expect(syscalls.readText('/sys/first/vendor')).toBe('0x8086\n');
    expect(syscalls.readDir('/sys/devices/a')).toEqual(['vendor']);
    expect(syscalls.readLink('/sys/first')).toBe('devices/a');
    expect(syscalls.realPath('/sys/first')).toBe('/sys/devices/a');
    expect(syscalls.stat('/sys').rdev).toBeNull();
    await syscalls.slow.writeText('/sys/first/vendor', '0x1234\n');
    expect(syscalls.readText('/sys/devices/a/vendor')).toBe('0x1234\n');
    await syscalls.slow.close(syscalls.open('/sys/devices/a/vendor'));
  });

  it('finds nothing outside of it, and says the path that was asked for', () => {
    const syscalls = nativeSyscalls({ root });
    expect(() => syscalls.readText('/proc/version')).toThrow('read /proc/version: ENOENT');
  });
});
