/** Can trying again help? One answer for each error, so that no loop has its own. */
import { AutodomainError, ERROR_CODES } from '../base/errors.ts';
import { KernelError } from '../kernel/call.ts';
import { SyscallError } from '../kernel/port.ts';

/** `later`: it may pass by itself. `on-new-input`: not before the config or the host changes, or a person asks. */
export type RetryClass = 'later' | 'on-new-input';

/**
 * What the kernel will say again as long as nobody changes anything that we would hear of. EPERM and
 * EBUSY are not here: whoever holds a group may let go without an event, and a refused BIND disturbs nobody.
 */
const LASTING: ReadonlySet<string> = new Set([
  'EINVAL',
  'EADDRINUSE',
  'EOPNOTSUPP',
  'ENOTTY',
  'E2BIG',
  'EFAULT',
  'EBADFD',
  'EOVERFLOW',
]);

/** The class of an error that ended a step. A defect of our own is never tried again by itself. */
export function retryClassOf(error: unknown): RetryClass {
  if (error instanceof KernelError || error instanceof SyscallError) {
    return LASTING.has(error.errno) ? 'on-new-input' : 'later';
  }
  if (error instanceof AutodomainError) {
    return ERROR_CODES[error.code].retry === 'later' ? 'later' : 'on-new-input';
  }
  return 'on-new-input';
}
