// The notice about lines that no parser understood: how many, of which services, of what shape.

import { ask } from "./api.js";
import { element, setVisible } from "./dom.js";

const HINT = "A format or a pattern reads them: weir parse --suggest FILE proposes one.";

/** The notice: a node of `details`. */
export class DriftNotice {
  #node;
  #show;
  #shown = "";

  /**
   * @param {HTMLDetailsElement} node
   * @param {(query: string) => void} show goes to the records of a query
   */
  constructor(node, show) {
    this.#node = node;
    this.#show = show;
  }

  /** Asks the server anew. */
  async refresh() {
    let answer;
    try {
      answer = await ask("drift", {});
    } catch {
      return; // a help only; it comes with the next try
    }
    const shown = JSON.stringify(answer);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const records = answer.services.reduce((sum, service) => sum + service.records, 0);
    setVisible(this.#node, records > 0);
    const since = answer.source === "shipper" ? "since Weir started" : "in the last 24 hours";
    this.#node.replaceChildren(
      element("summary", { text: `${records.toLocaleString()} record${records === 1 ? "" : "s"} not understood ${since}` }),
      element("p", { class: "faint", text: HINT }),
      ...answer.services.map((service) => this.#service(service)),
    );
  }

  #service({ service, records, shapes = [] }) {
    const query = `tags:unparsed service:${JSON.stringify(service)}`;
    const rows = shapes.map(({ shape, records: count }) =>
      element("li", {}, element("code", { text: shape }), " ", element("span", { class: "faint", text: `${count.toLocaleString()}×` })));
    return element(
      "div",
      {},
      element("button", { type: "button", text: service, title: "Show these records", on: { click: () => this.#show(query) } }),
      element("span", { class: "faint", text: ` ${records.toLocaleString()}` }),
      element("ul", {}, ...rows),
    );
  }
}
