// Calls of the server. Every error is a sentence; a lost log-in leads to the log-in page.

interface Answer<T> {
  body: T;
  headers: Headers;
}

/** One page of a list. `cursor` of the next page (null: there is none), `total` as a text (null: it is not told). */
export interface Page<T> {
  rows: T[];
  cursor: string | null;
  total: string | null;
}

/** The JSON body of an answer. Throws an Error with the server's sentence. */
export async function get<T>(path: string): Promise<T> {
  return (await send<T>("GET", path)).body;
}

export async function getPage<T>(path: string): Promise<Page<T>> {
  const { body, headers } = await send<T[]>("GET", path);
  return { rows: body, cursor: headers.get("x-next-cursor"), total: headers.get("x-total-count") };
}

/** Changes something. `content`: an object becomes JSON, a FormData stays one. */
export async function change<T>(method: string, path: string, content?: unknown): Promise<T> {
  return (await send<T>(method, path, content)).body;
}

async function send<T>(method: string, path: string, content?: unknown): Promise<Answer<T>> {
  const form = content instanceof FormData;
  const headers: Record<string, string> = content === undefined || form ? {} : { "content-type": "application/json" };
  const body = content === undefined ? undefined : form ? content : JSON.stringify(content);
  let reply: Response;
  try {
    reply = await fetch(path, { method, headers, body });
  } catch {
    throw new Error("The dashboard's server does not answer; is it still running?");
  }
  const answer = await reply.json().catch(() => ({ problem: `The server answered ${reply.status}.` }));
  if (reply.status === 401 && !location.hash.startsWith("#/login")) {
    location.hash = `#/login?to=${encodeURIComponent(location.hash)}`;
  }
  if (!reply.ok) throw new Error(answer.problem ?? `The server answered ${reply.status}.`);
  return { body: answer as T, headers: reply.headers };
}
