// The query box: history, completion of field names and their values, and the error under the place it is about.

import { ask, Latest } from "./api.js";
import { debounce, element, setVisible } from "./dom.js";
import { filterText } from "./query.js";
import { queryHistory } from "./state.js";

const SUGGESTIONS_MAX = 10;
const ALIASES = { level: "log.level", service: "service.name", host: "host.name", status: "http.response.status_code" };
// What stands before the cursor: `field:` with the beginning of a value, or the beginning of a field's name.
const VALUE_BEFORE_CURSOR = /(?:^|[\s(])-?([\p{L}_@][^\s:"()<>=]*):("?)([^\s:"()]*)$/u;
const NAME_BEFORE_CURSOR = /(?:^|[\s(])-?([\p{L}_@][^\s:"()<>=]*)$/u;

export class SearchBox {
  #input;
  #list;
  #error;
  #submit;
  #fieldNames;
  #parameters;
  #suggestions = [];
  #at = -1;
  #latest = new Latest();

  /**
   * @param {{form: HTMLFormElement, input: HTMLInputElement, list: HTMLElement, error: HTMLElement}} nodes
   * @param {{submit: (query: string) => void, fieldNames: () => string[], parameters: () => object}} callbacks
   */
  constructor({ form, input, list, error }, { submit, fieldNames, parameters }) {
    this.#input = input;
    this.#list = list;
    this.#error = error;
    this.#submit = submit;
    this.#fieldNames = fieldNames;
    this.#parameters = parameters;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#run();
    });
    input.addEventListener("input", debounce(60, () => this.#suggest()));
    input.addEventListener("search", () => input.value === "" && this.#run()); // the box's own × was pressed
    input.addEventListener("keydown", (event) => this.#key(event));
    input.addEventListener("blur", () => this.#close());
  }

  /** The text in the box. */
  get text() {
    return this.#input.value;
  }

  set text(query) {
    if (this.#input.value !== query) this.#input.value = query;
  }

  /** Puts the cursor into the box. */
  focus() {
    this.#input.focus();
    this.#input.select();
  }

  /** Shows what is wrong with the query, at its place; null: nothing. */
  showError(message, position) {
    setVisible(this.#error, message !== null);
    if (message === null) this.#input.removeAttribute("aria-invalid");
    else this.#input.setAttribute("aria-invalid", "true");
    if (message === null) {
      this.#error.replaceChildren();
      return;
    }
    this.#error.replaceChildren(element("p", { text: message }));
    if (position === null) return;
    // The position counts characters, not UTF-16 units.
    const characters = Array.from(this.#input.value);
    const marked = characters[position] ?? " ";
    this.#error.prepend(
      element("code", { class: "error-place" }, characters.slice(0, position).join(""),
        element("mark", { text: marked === " " ? "\u00a0" : marked }), characters.slice(position + 1).join("")),
    );
  }

  #run() {
    this.#close();
    this.#submit(this.#input.value.trim());
  }

  #key(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (this.#suggestions.length === 0) this.#showHistory();
      else this.#mark(this.#at + (event.key === "ArrowDown" ? 1 : -1));
    } else if ((event.key === "Enter" || event.key === "Tab") && this.#at >= 0) {
      event.preventDefault();
      this.#accept(this.#suggestions[this.#at]);
    } else if (event.key === "Escape") {
      event.preventDefault(); // it would empty the box
      if (this.#suggestions.length > 0) this.#close();
      else this.#input.blur();
    }
  }

  #showHistory() {
    const earlier = queryHistory().filter((query) => query !== this.#input.value);
    this.#show(earlier.slice(0, SUGGESTIONS_MAX).map((query) => ({ text: query, query, cursor: query.length, submit: true })));
  }

  async #suggest() {
    if (this.#input.value === "") {
      this.#showHistory();
      return;
    }
    const cursor = this.#input.selectionStart ?? this.#input.value.length;
    const before = this.#input.value.slice(0, cursor);
    const value = VALUE_BEFORE_CURSOR.exec(before);
    if (value !== null) await this.#suggestValues(value, before, cursor);
    else this.#suggestNames(NAME_BEFORE_CURSOR.exec(before), before, cursor);
  }

  #suggestNames(match, before, cursor) {
    const typed = match?.[1].toLowerCase() ?? "";
    if (typed === "") {
      this.#close();
      return;
    }
    const names = [...Object.keys(ALIASES), ...this.#fieldNames()];
    const found = names.filter((name) => name.toLowerCase().includes(typed));
    found.sort((a, b) => Number(!a.toLowerCase().startsWith(typed)) - Number(!b.toLowerCase().startsWith(typed)));
    const start = before.length - match[1].length;
    this.#show(found.slice(0, SUGGESTIONS_MAX).map((name) => this.#replacement(`${name}:`, start, cursor)));
  }

  async #suggestValues([, name, quote, typed], before, cursor) {
    const field = ALIASES[name] ?? name;
    if (!this.#fieldNames().includes(field)) {
      this.#close();
      return;
    }
    let answer;
    try {
      answer = await this.#latest.run((signal) => ask("terms", { ...this.#parameters(), q: "", field, size: 50 }, signal));
    } catch {
      answer = null; // a field whose values are not counted: then there is nothing to suggest
    }
    if (answer === null || document.activeElement !== this.#input) return;
    const values = answer.terms[0].buckets.map((bucket) => bucket.value);
    const found = values.filter((value) => value.toLowerCase().startsWith(typed.toLowerCase()) && value !== typed);
    const start = before.length - name.length - 1 - quote.length - typed.length;
    this.#show(found.slice(0, SUGGESTIONS_MAX).map((value) => this.#replacement(`${filterText(name, value)} `, start, cursor)));
  }

  #replacement(text, start, cursor) {
    const whole = this.#input.value;
    return { text, query: whole.slice(0, start) + text + whole.slice(cursor), cursor: start + text.length, submit: false };
  }

  #show(suggestions) {
    this.#suggestions = suggestions;
    this.#list.replaceChildren(...suggestions.map((suggestion, index) => element("li", {
      id: `suggestion-${index}`, role: "option", text: suggestion.text, "aria-selected": "false",
      // Before the box loses the focus, and with it the list.
      on: { mousedown: (event) => { event.preventDefault(); this.#accept(suggestion); } },
    })));
    setVisible(this.#list, suggestions.length > 0);
    this.#input.setAttribute("aria-expanded", String(suggestions.length > 0));
    this.#mark(-1);
  }

  #mark(at) {
    const count = this.#suggestions.length;
    this.#at = count === 0 ? -1 : at < -1 ? count - 1 : at >= count ? -1 : at;
    [...this.#list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === this.#at)));
    if (this.#at >= 0) this.#input.setAttribute("aria-activedescendant", `suggestion-${this.#at}`);
    else this.#input.removeAttribute("aria-activedescendant");
  }

  #accept({ query, cursor, submit }) {
    this.#input.value = query;
    this.#input.setSelectionRange(cursor, cursor);
    this.#close();
    if (submit) this.#run();
    else void this.#suggest();
  }

  #close() {
    this.#show([]);
  }
}
