// New records as they are indexed, by server-sent events.

import { address } from "./api.js";
import { parseExact } from "./exact.js";

const RETRY = 3000; // milliseconds

export class Tail {
  #source = null;
  #callbacks;

  /**
   * @param {{ready: () => void, records: (answer: {hits: object[], left_out: number}) => void,
   *   broken: () => void}} callbacks `ready` is called at each (re)connection, once later records are sure to be sent
   */
  constructor(callbacks) {
    this.#callbacks = callbacks;
  }

  /** Follows a query from now on. */
  open(query) {
    this.close();
    const source = new EventSource(address("tail", { q: query }));
    source.addEventListener("ready", () => this.#callbacks.ready());
    source.addEventListener("records", (event) => this.#callbacks.records(parseExact(event.data)));
    source.addEventListener("error", () => this.#failed(source, query));
    this.#source = source;
  }

  /** Ends it. */
  close() {
    this.#source?.close();
    this.#source = null;
  }

  // The browser connects again by itself, unless the answer was an error.
  #failed(source, query) {
    this.#callbacks.broken();
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(() => {
      if (this.#source === source) this.open(query);
    }, RETRY);
  }
}
