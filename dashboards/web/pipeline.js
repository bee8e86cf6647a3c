// How the pipeline does: one word in the header, and what stands behind it in a panel.

import { ask } from "./api.js";
import { element, setVisible } from "./dom.js";

const WORDS = { ok: "Indexing", warning: "Look here", error: "Not indexing" };

/** The numbers of one answer. */
class Numbers {
  constructor(metrics) {
    this.at = Date.now();
    // Answers are read with their numbers as they are written, and 1.0 is not written as JavaScript would.
    this.metrics = metrics.map((metric) => ({ ...metric, value: Number(metric.value) }));
  }

  all(name) {
    return this.metrics.filter((metric) => metric.name === name);
  }

  sum(name) {
    return this.all(name).reduce((sum, metric) => sum + metric.value, 0);
  }

  /** A second's share of a counter's growth since `before`. */
  rate(name, before) {
    const seconds = (this.at - before.at) / 1000;
    return seconds > 0 ? Math.max(0, (this.sum(name) - before.sum(name)) / seconds) : 0;
  }
}

function count(number, one, many) {
  return `${Math.round(number).toLocaleString()} ${Math.round(number) === 1 ? one : many}`;
}

function bytes(number) {
  for (const unit of ["bytes", "KiB", "MiB"]) {
    if (number < 1024) return `${Math.round(number).toLocaleString()} ${unit}`;
    number /= 1024;
  }
  return `${number.toFixed(1)} GiB`;
}

/** Everything that is to be said, the worst first: `{severity, text, query?}`. */
function findings(now) {
  const found = [];
  const say = (severity, text, query) => found.push({ severity, text, query });
  const breaker = now.all("weir_worker_index_breaker").find((metric) => metric.value === 1)?.labels.state;
  if (breaker === "open") say("error", "The index takes nothing: its circuit breaker is open, and records wait in the buffer and in their files.");
  if (breaker === "half-open") say("warning", "The index is tried again: its circuit breaker is half open.");
  for (const { labels } of now.all("weir_worker_stream_blocked")) {
    say("warning", `${labels.stream} takes nothing (${labels.state}): its records wait in the buffer, the other streams flow.`);
  }
  const dead = now.sum("weir_worker_rejected_total");
  if (dead > 0) say("warning", `${count(dead, "record was", "records were")} refused for good since Weir started: see weir dead.`, "dataset:dead_letter");
  const poison = now.sum("weir_worker_poison_frames_total");
  if (poison > 0) say("warning", `${count(poison, "frame", "frames")} could not be read.`, "dataset:dead_letter");
  const vanished = now.sum("weir_shipper_vanished_bytes_total");
  if (vanished > 0) say("warning", `${bytes(vanished)} of log files vanished before they were read.`);
  return found;
}

/** The button in the header and its panel. */
export class PipelineView {
  #button;
  #panel;
  #show;
  #before = null;

  /**
   * @param {HTMLButtonElement} button
   * @param {HTMLElement} panel
   * @param {(query: string) => void} show goes to the records of a query
   */
  constructor(button, panel, show) {
    this.#button = button;
    this.#panel = panel;
    this.#show = show;
  }

  /** Asks the server anew. */
  async refresh() {
    let answer;
    try {
      answer = await ask("pipeline", {});
    } catch {
      return; // the list says that the server is away
    }
    setVisible(this.#button, answer.metrics !== null);
    if (answer.metrics === null) return;
    const now = new Numbers(answer.metrics);
    const found = findings(now);
    const severity = found.some((one) => one.severity === "error") ? "error" : found.length > 0 ? "warning" : "ok";
    this.#button.dataset.status = severity;
    this.#button.querySelector(".word").textContent = WORDS[severity];
    this.#panel.replaceChildren(...found.map((one) => this.#finding(one)), this.#table(now, this.#before ?? now));
    this.#before = now;
  }

  #finding({ severity, text, query }) {
    const line = element("p", { class: `finding ${severity}`, text });
    if (query !== undefined) {
      line.append(" ", element("button", { type: "button", text: "Show them", on: { click: () => this.#show(query) } }));
    }
    return line;
  }

  #table(now, before) {
    const row = (name, value) => element("tr", {}, element("th", { scope: "row", text: name }), element("td", { text: value }));
    return element(
      "table",
      {},
      row("Read", `${count(now.rate("weir_shipper_records_total", before), "record", "records")} a second`),
      row("Indexed", `${count(now.rate("weir_worker_indexed_total", before), "record", "records")} a second`),
      row("Not indexed yet", bytes(now.sum("weir_shipper_behind_bytes"))),
      row("In the buffer", `${count(now.sum("weir_worker_buffer_frames"), "frame", "frames")}, ${bytes(now.sum("weir_worker_buffer_bytes"))}`),
      row("Indexed since the start", count(now.sum("weir_worker_indexed_total"), "record", "records")),
      row("Sent again", count(now.sum("weir_worker_retried_total"), "record", "records")),
    );
  }
}
