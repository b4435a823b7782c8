/** The unit says what a restart without loss needs, and nothing that the work forbids. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const lines = readFileSync('packaging/autodomain.service', 'utf8')
  .split('\n')
  .filter((line) => /^[A-Z]\w*=/.test(line));

describe('the unit', () => {
  it.each([
    'Type=notify',
    'NotifyAccess=main',
    'Restart=always',
    'StartLimitIntervalSec=0',
    'RuntimeDirectoryPreserve=restart',
    'RuntimeDirectoryMode=0750',
    'LimitMEMLOCK=infinity',
    'DevicePolicy=closed',
    'DeviceAllow=/dev/iommu rw',
    // The kernel's name for /dev/vfio/devices/*; char-vfio is /dev/vfio/GROUP. Source: drivers/vfio/device_cdev.c.
    'DeviceAllow=char-vfio-dev rw',
    'RestrictAddressFamilies=AF_UNIX AF_NETLINK',
    'NoNewPrivileges=yes',
    'ProtectSystem=strict',
  ])('has %s', (line) => {
    expect(lines).toContain(line);
  });

  it.each([
    'PrivateDevices',
    'ProtectKernelTunables',
    'ProtectProc',
    'PrivateUsers',
    'MemoryDenyWriteExecute',
    // A unit that fails, or whose condition no longer holds at a restart, drops its files.
    'RestartPreventExitStatus',
    'ConditionPathExists',
  ])('has no %s', (name) => {
    expect(lines.filter((line) => line.startsWith(`${name}=`))).toEqual([]);
  });

  it('lets the group of the settings through its directory', () => {
    expect(lines).toContain('Group=autodomain');
    expect(readFileSync('packaging/autodomain.yaml', 'utf8')).toContain('group: autodomain');
    expect(readFileSync('packaging/autodomain.sysusers', 'utf8')).toMatch(/^g autodomain /m);
  });
});
