/** What the command line touches of the process, so that tests can run it without one. */

/** Streams, environment and signals. */
export interface Io {
  stdout(text: string): void;
  stderr(text: string): void;
  /** One line from a person, or null where there is no terminal. */
  ask(question: string): Promise<string | null>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isTerminal: { readonly stdin: boolean; readonly stdout: boolean };
  /** Aborts on the first SIGINT, SIGTERM or SIGHUP; the reason is the signal's name. */
  readonly signal: AbortSignal;
  readonly pid: number;
}
