// The time range: presets, or two moments.

import { element } from "./dom.js";
import { PRESETS, shortTime, toLocalInput, toRfc3339 } from "./time.js";

export class TimeRange {
  #button;
  #panel;
  #from;
  #until;
  #presets = new Map();
  #choose;

  /**
   * @param {HTMLButtonElement} button opens the panel
   * @param {HTMLElement} panel a popover
   * @param {(range: {range: string|null, from: string|null, until: string|null}) => void} choose
   */
  constructor(button, panel, choose) {
    this.#button = button;
    this.#panel = panel;
    this.#choose = choose;
    const list = element("div", { class: "presets", role: "group", "aria-label": "Relative" });
    for (const [range, label] of PRESETS) {
      const preset = element("button", { type: "button", text: label, on: { click: () => this.#chosen({ range, from: null, until: null }) } });
      this.#presets.set(range, preset);
      list.append(preset);
    }
    this.#from = moment("From");
    this.#until = moment("Until");
    const form = element("form", { class: "absolute", on: { submit: (event) => this.#submitted(event) } },
      element("label", {}, "From", this.#from), element("label", {}, "Until", this.#until),
      element("button", { type: "submit", class: "primary", text: "Apply" }));
    panel.append(list, form);
    panel.addEventListener("toggle", (event) => button.setAttribute("aria-expanded", String(event.newState === "open")));
  }

  /** Shows which range is chosen; `bounds` in milliseconds is what the server made of it. */
  show({ range, from, until }, bounds) {
    const preset = PRESETS.find(([key]) => key === range);
    const text = preset?.[1] ?? (range !== null ? `Last ${range}` : absoluteText(from, until));
    this.#button.firstElementChild.textContent = text;
    for (const [key, node] of this.#presets) node.setAttribute("aria-pressed", String(key === range));
    if (this.#panel.matches(":popover-open")) return; // somebody is typing there
    const [start, end] = [from === null ? bounds?.from : Date.parse(from), until === null ? bounds?.until : Date.parse(until)];
    this.#from.value = start === undefined ? "" : toLocalInput(start);
    this.#until.value = end === undefined ? "" : toLocalInput(end);
  }

  #chosen(range) {
    this.#panel.hidePopover();
    this.#choose(range);
  }

  #submitted(event) {
    event.preventDefault();
    const read = (input) => (input.value === "" ? null : toRfc3339(new Date(input.value).getTime()));
    const [from, until] = [read(this.#from), read(this.#until)];
    const backwards = from !== null && until !== null && from >= until;
    this.#until.setCustomValidity(backwards ? "This has to be later than the start." : "");
    if (backwards) {
      this.#until.reportValidity();
      return;
    }
    this.#chosen(from === null && until === null ? { range: "all", from, until } : { range: null, from, until });
  }
}

function moment(label) {
  return element("input", { type: "datetime-local", step: "0.001", "aria-label": label });
}

function absoluteText(from, until) {
  if (from === null) return `Until ${shortTime(Date.parse(until))}`;
  if (until === null) return `Since ${shortTime(Date.parse(from))}`;
  const [start, end] = [Date.parse(from), Date.parse(until)];
  const precision = end - start < 60_000 ? 1 : 1000;
  return `${shortTime(start, precision)} – ${shortTime(end, precision)}`;
}
