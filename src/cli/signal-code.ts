/** How a process that a signal ended is told from others. */

/** The shell's code for the signal that is the reason of the abort. */
export function signalCode(signal: AbortSignal): number {
  const codes: Readonly<Record<string, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
  return codes[String(signal.reason)] ?? 130;
}
