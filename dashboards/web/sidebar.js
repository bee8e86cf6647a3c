// The side: levels, services, and every field with its commonest values, each a filter.

import { ask, Latest } from "./api.js";
import { element, setVisible } from "./dom.js";
import { LEVELS, toneOf } from "./levels.js";
import { filterText, hasFilter } from "./query.js";

const VALUES_SHOWN = 10;

/** Fields whose values are always shown, with their titles. */
export const FACETS = [["log.level", "Level"], ["service.name", "Service"]];

const NOT_COUNTED = new Set(["date", "text", "other"]);

export class Sidebar {
  #holder;
  #fieldList;
  #fieldFilter;
  #facets = new Map();
  #fields = [];
  #opened = new Map(); // field -> {holder, latest}
  #callbacks;

  /**
   * @param {HTMLElement} holder
   * @param {{filter: (field: string, value: string, kind: "toggle"|"out") => void, query: () => string,
   *   parameters: () => object}} callbacks
   */
  constructor(holder, callbacks) {
    this.#holder = holder;
    this.#callbacks = callbacks;
    for (const [field, title] of FACETS) this.#facets.set(field, this.#section(title));
    this.#fieldFilter = element("input", {
      type: "search", class: "field-filter", placeholder: "Find a field", "aria-label": "Find a field", autocomplete: "off",
      on: { input: () => this.#drawFields() },
    });
    this.#fieldList = element("ul", { class: "field-list" });
    const section = element("section", {}, element("h2", { text: "Fields" }), this.#fieldFilter, this.#fieldList);
    this.#holder.append(section);
  }

  #section(title) {
    const values = element("ul", { class: "values" });
    this.#holder.append(element("section", { "aria-label": title }, element("h2", { text: title }), values));
    return values;
  }

  /** Shows the counts of the facets: `[{field, total, buckets: [{value, count}], other}]`. */
  showFacets(answers) {
    for (const answer of answers) {
      const holder = this.#facets.get(answer.field);
      if (holder !== undefined) this.#drawValues(holder, answer);
    }
  }

  /** Shows which fields there are: `[{name, kind}]`. */
  showFields(fields) {
    this.#fields = fields;
    this.#drawFields();
  }

  /** The names of the fields. */
  get names() {
    return this.#fields.map((field) => field.name);
  }

  /** Counts the values of the opened fields again. */
  refresh() {
    for (const [field, opened] of this.#opened) this.#count(field, opened);
  }

  #drawFields() {
    const wanted = this.#fieldFilter.value.trim().toLowerCase();
    const found = this.#fields.filter((field) => field.name.toLowerCase().includes(wanted));
    this.#fieldList.replaceChildren(...found.map((field) => this.#fieldItem(field)));
    if (this.#fields.length > 0 && found.length === 0) {
      this.#fieldList.append(element("li", { class: "faint", text: "No such field" }));
    }
  }

  #fieldItem({ name, kind }) {
    if (NOT_COUNTED.has(kind)) {
      return element("li", {}, element("span", { class: "field-name plain", title: `${name} (${kind})`, text: name }));
    }
    const opened = this.#opened.get(name);
    const toggle = element("button", {
      type: "button", class: "field-name", title: `${name} (${kind})`, text: name, "aria-expanded": String(opened !== undefined),
      on: { click: () => this.#toggleField(name, toggle) },
    });
    const item = element("li", {}, toggle);
    if (opened !== undefined) item.append(opened.holder);
    return item;
  }

  #toggleField(name, toggle) {
    const opened = this.#opened.get(name);
    toggle.setAttribute("aria-expanded", String(opened === undefined));
    if (opened !== undefined) {
      opened.holder.remove();
      this.#opened.delete(name);
      return;
    }
    const added = { holder: element("ul", { class: "values" }), latest: new Latest() };
    this.#opened.set(name, added);
    toggle.after(added.holder);
    this.#count(name, added);
  }

  async #count(field, { holder, latest }) {
    try {
      const parameters = { ...this.#callbacks.parameters(), field, size: VALUES_SHOWN };
      const answer = await latest.run((signal) => ask("terms", parameters, signal));
      if (answer !== null) this.#drawValues(holder, answer.terms[0]);
    } catch (error) {
      holder.replaceChildren(element("li", { class: "faint", text: error.message }));
    }
  }

  #drawValues(holder, { field, total, buckets, other }) {
    const query = this.#callbacks.query();
    const items = inOrder(field, buckets).map((bucket) => this.#valueItem(field, bucket, total, query));
    if (items.length === 0) items.push(element("li", { class: "faint", text: "No values" }));
    if (other > 0) items.push(element("li", { class: "faint other", text: `${other.toLocaleString()} in other values` }));
    const focused = holder.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    holder.replaceChildren(...items);
    if (focused !== null) {
      for (const button of holder.querySelectorAll("button")) if (button.getAttribute("aria-label") === focused) button.focus();
    }
  }

  #valueItem(field, { value, count }, total, query) {
    const active = hasFilter(query, filterText(field, value));
    const share = element("span", { class: "share" });
    share.style.width = `${total > 0 ? Math.max((count / total) * 100, 0.5) : 0}%`;
    const tone = field === "log.level" ? ` ${toneOf(value)}` : "";
    const button = element("button", {
      type: "button", class: `value-button${tone}`, "aria-pressed": String(active), title: value,
      "aria-label": `${active ? "Remove the filter for" : "Filter for"} ${field}: ${value}`,
      on: { click: () => this.#callbacks.filter(field, value, "toggle") },
    },
    element("span", { class: "name", text: value === "" ? "(empty)" : value }),
    element("span", { class: "count", text: shortCount(count), title: count.toLocaleString() }), share);
    const label = `Filter out ${field}: ${value}`;
    const out = element("button", {
      type: "button", class: "filter", text: "−", title: label, "aria-label": label,
      on: { click: () => this.#callbacks.filter(field, value, "out") },
    });
    return element("li", { class: active ? "active" : null }, button, out);
  }

  /** Shows the side or hides it, on narrow screens. */
  setShown(shown) {
    setVisible(this.#holder, shown);
  }
}

// Levels by severity, everything else by count as it came.
function inOrder(field, buckets) {
  if (field !== "log.level") return buckets;
  return [...buckets].sort((a, b) => LEVELS.indexOf(a.value) - LEVELS.indexOf(b.value));
}

/** `950`, `12.3k`, `4.1M`. */
export function shortCount(count) {
  if (count < 10_000) return count.toLocaleString();
  const [size, unit] = count < 1_000_000 ? [1000, "k"] : count < 1e9 ? [1e6, "M"] : [1e9, "G"];
  const scaled = count / size;
  return `${scaled < 100 ? scaled.toFixed(1) : Math.round(scaled)}${unit}`;
}
