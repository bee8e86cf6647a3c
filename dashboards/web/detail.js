// An opened record: every field, with filters by value, and the ways on from here.

import { element } from "./dom.js";
import { leaves, printExact, textOf } from "./exact.js";
import { field, timeOf } from "./record.js";

const VALUE_SHOWN_MAX = 10_000; // characters, until asked for all
const VALUE_FILTER_MAX = 1024; // characters of a keyword that are indexed
const NOT_SEARCHED = new Set(["error.stack_trace", "event.original"]);
const TEXTS = new Set(["message", "error.message"]); // searched by words: lines do not matter
const FIRST = [
  "@timestamp", "log.level", "service.name", "message", "error.type", "error.message", "error.stack_trace",
  "trace.id", "span.id", "host.name", "log.logger", "process.thread.name",
];
const HOUSEKEEPING = /^(event\.(sequence|created|ingested|dataset)|data_stream\.|log\.(offset|file\.path))/;

/**
 * Builds the content of an opened record.
 * @param {object} document
 * @param {{filter: (field: string, value: string, kind: "in"|"out") => void, trace: (id: string) => void,
 *   surroundings: (document: object) => void}} actions
 */
export function buildDetail(document, actions) {
  const table = element("table", { class: "fields", "aria-label": "Fields of the record" });
  for (const [name, value] of ordered(leaves(document))) table.append(fieldRow(name, value, actions));
  return element("div", {}, toolbar(document, actions), table);
}

function ordered(fields) {
  const rank = ([name]) => {
    const first = FIRST.indexOf(name);
    if (first >= 0) return first;
    return HOUSEKEEPING.test(name) ? FIRST.length + 1 : FIRST.length;
  };
  return fields.sort((a, b) => rank(a) - rank(b) || (a[0] < b[0] ? -1 : 1));
}

function toolbar(document, actions) {
  const bar = element("div", { class: "toolbar" });
  const trace = field(document, "trace.id");
  if (trace !== "") bar.append(button("Show trace", "All records of this trace, in order", () => actions.trace(trace)));
  if (field(document, "log.file.path") !== "" && !Number.isNaN(timeOf(document))) {
    bar.append(button("Surroundings", "What the same file said around that moment", () => actions.surroundings(document)));
  }
  const copy = button("Copy JSON", "Copy the whole document", async () => {
    copy.textContent = (await copyText(printExact(document))) ? "Copied" : "Copying was refused";
    setTimeout(() => (copy.textContent = "Copy JSON"), 1500);
  });
  bar.append(copy);
  return bar;
}

function button(text, title, click) {
  return element("button", { type: "button", class: "small", text, title, on: { click } });
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

function fieldRow(name, value, actions) {
  const cell = element("td");
  for (const item of Array.isArray(value) ? value : [value]) {
    cell.append(valueNode(name, textOf(item), item === null ? null : actions));
  }
  return element("tr", {}, element("th", { scope: "row", text: name }), cell);
}

// Without actions the value cannot be searched.
function valueNode(name, text, actions) {
  const searched = actions !== null && !NOT_SEARCHED.has(name) && (TEXTS.has(name) || !text.includes("\n"));
  const filterable = searched && text !== "" && text.length <= VALUE_FILTER_MAX;
  const content = element("span", { class: "value" });
  show(content, text, VALUE_SHOWN_MAX);
  const holder = element("div", { class: "value-line" }, content);
  if (!filterable) return holder;
  const short = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  content.classList.add("filterable");
  content.title = "Filter for this value";
  content.addEventListener("click", () => {
    if (globalThis.getSelection()?.isCollapsed ?? true) actions.filter(name, text, "in");
  });
  holder.prepend(
    element("span", { class: "filters" },
      filterButton("+", `Filter for ${name}: ${short}`, () => actions.filter(name, text, "in")),
      filterButton("−", `Filter out ${name}: ${short}`, () => actions.filter(name, text, "out"))),
  );
  return holder;
}

function filterButton(sign, label, click) {
  return element("button", { type: "button", class: "filter", "aria-label": label, title: label, text: sign, on: { click } });
}

function show(node, text, shownMax) {
  node.replaceChildren();
  const shown = text.slice(0, shownMax);
  if (shown.includes("\n")) node.append(...linesOf(shown));
  else node.append(shown);
  if (text.length <= shownMax) return;
  const all = element("button", {
    type: "button",
    class: "small",
    text: `Show all ${text.length.toLocaleString()} characters`,
    on: { click: (event) => { event.stopPropagation(); show(node, text, Infinity); } },
  });
  node.append(element("div", {}, all));
}

const FRAME = /^\s+(at |\.\.\. \d+|File "|in |from )|^\s*at /;
const LIBRARY_FRAME = /\b(java|javax|jdk|sun|jakarta|org\.(springframework|apache|hibernate|eclipse)|io\.netty|reactor)\.|node:internal|node_modules|site-packages|\/lib\/python|\/usr\/lib\//;

// Stack traces: what was thrown stands out, one's own frames are plain, those of libraries step back.
function linesOf(text) {
  return text.split("\n").map((line) => {
    const frame = FRAME.test(line);
    const kind = !frame ? "thrown" : LIBRARY_FRAME.test(line) ? "frame library" : "frame";
    return element("span", { class: `text-line ${kind}`, text: line === "" ? "\u200b" : line });
  });
}
