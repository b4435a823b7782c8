/** The body of a request: bounded, JSON, and nothing in it that is not understood. */
import type { IncomingMessage } from 'node:http';
import { ProblemError, SEE_API } from './problem.ts';

/** A JSON object whose fields are not checked yet. */
export type Fields = Readonly<Record<string, unknown>>;

/** Reads the body; an empty one is `{}`. Throws ProblemError for one that is too large or no JSON object. */
export async function readBody(request: IncomingMessage, bytesMax: number): Promise<Fields> {
  const text = (await bytesOf(request, bytesMax)).toString('utf8').trim();
  if (text === '') return {};
  try {
    const value = JSON.parse(text) as unknown;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Fields;
    }
  } catch {
    // Said below: the parser's words name a place in a text that nobody sees.
  }
  throw badRequest('the body is no JSON object');
}

/** Listens instead of iterating: leaving a loop over the request would end the connection before its answer. */
function bytesOf(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= bytesMax) {
        chunks.push(chunk);
        return;
      }
      chunks.length = 0;
      const cause = `the body is larger than ${bytesMax} bytes`;
      reject(new ProblemError('too-large', 'nothing was done', cause, 'send less'));
    });
    request.once('end', () => resolve(Buffer.concat(chunks)));
    request.once('error', reject);
  });
}

/** Checks that there are no other fields. Throws ProblemError naming the first one. */
export function onlyFields(body: Fields, names: readonly string[]): void {
  const unknown = Object.keys(body).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  const known = names.length === 0 ? 'it takes none' : `it takes ${names.join(', ')}`;
  throw badRequest(`the field '${unknown.slice(0, 64)}' is not known: ${known}`);
}

/** A digest of a config, `sha256:` and 64 hex digits. Throws ProblemError for anything else. */
export function digestIn(body: Fields): string | null {
  const { digest } = body;
  if (digest === undefined || digest === null) return null;
  if (typeof digest === 'string' && /^sha256:[0-9a-f]{64}$/.test(digest)) return digest;
  throw badRequest('digest is `sha256:` and 64 hex digits');
}

/** A list of names; absent is empty. Throws ProblemError for anything else. */
export function namesIn(body: Fields, field: string): readonly string[] {
  const names = body[field] ?? [];
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names;
  throw badRequest(`${field} is a list of names`);
}

/** A whole number of at least 0, or null. Throws ProblemError for anything else. */
export function countIn(body: Fields, field: string): number | null {
  const count = body[field] ?? null;
  if (count === null || (Number.isSafeInteger(count) && (count as number) >= 0)) {
    return count as number | null;
  }
  throw badRequest(`${field} is a whole number of at least 0`);
}

/** A request that cannot be understood. */
export function badRequest(cause: string): ProblemError {
  return new ProblemError('bad-request', 'nothing was done', cause, SEE_API);
}
