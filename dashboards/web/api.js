// The server's answers. Every request takes the state of the page and an AbortSignal.

import { parseExact } from "./exact.js";

/** An answer that is not a result; `position` is the character of the query it is about, or null. */
export class ApiError extends Error {
  constructor(message, status, position) {
    super(message);
    this.status = status;
    this.position = position;
  }
}

/** Asks `/api/<path>`; parameters that are null, undefined or empty are left out, lists repeated. */
export async function ask(path, parameters, signal) {
  let response;
  try {
    response = await fetch(address(path, parameters), { signal, headers: { accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. The page goes on by itself when it is back.", 0, null);
  }
  const text = await response.text();
  if (!response.ok) throw refusal(response, text);
  return parseExact(text);
}

/** The address of `/api/<path>` with its parameters. */
export function address(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, given] of Object.entries(parameters)) {
    for (const value of Array.isArray(given) ? given : [given]) {
      if (value !== null && value !== undefined && value !== "") query.append(name, String(value));
    }
  }
  return `/api/${path}?${query}`;
}

function refusal(response, text) {
  try {
    const { error, position } = JSON.parse(text);
    if (typeof error === "string") return new ApiError(error, response.status, position ?? null);
  } catch {
    // Not from us: a proxy's page, for instance. The status says enough.
  }
  return new ApiError(`The server answered ${response.status} ${response.statusText}.`, response.status, null);
}

/** Runs one request at a time: a newer one aborts the one before it. */
export class Latest {
  #controller = null;

  /** Resolves to the answer, or to null when a newer request took its place. */
  async run(request) {
    this.#controller?.abort();
    const controller = new AbortController();
    this.#controller = controller;
    try {
      const answer = await request(controller.signal);
      return controller.signal.aborted ? null : answer;
    } catch (error) {
      if (controller.signal.aborted) return null;
      throw error;
    } finally {
      if (this.#controller === controller) this.#controller = null;
    }
  }

  /** Whether a request is under way. */
  get busy() {
    return this.#controller !== null;
  }
}
