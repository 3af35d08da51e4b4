// Calls of the server. Every error is a sentence; a lost log-in leads to the log-in page.

/** The JSON body of an answer. Throws an Error with the server's sentence. */
export async function get(path) {
  return (await send("GET", path)).body;
}

/** A list with the cursor of its next page (null: there is none) and its length as a text (null: it is not told). */
export async function getPage(path) {
  const { body, headers } = await send("GET", path);
  return { rows: body, cursor: headers.get("x-next-cursor"), total: headers.get("x-total-count") };
}

/** Changes something. `content`: an object becomes JSON, a FormData stays one. */
export async function change(method, path, content) {
  return (await send(method, path, content)).body;
}

async function send(method, path, content) {
  const form = content instanceof FormData;
  const headers = content === undefined || form ? {} : { "content-type": "application/json" };
  const body = content === undefined || form ? content : JSON.stringify(content);
  let reply;
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
  return { body: answer, headers: reply.headers };
}
