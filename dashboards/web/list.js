// The list of records: only the lines in sight are in the document, so that a list of many thousands scrolls freely.

import { element, setVisible } from "./dom.js";
import { compareEntries, levelOf, lineOf, field, timeOf } from "./record.js";
import { highlight } from "./query.js";
import { isSevere, toneOf } from "./levels.js";
import { timeParts } from "./time.js";

const LINE_HEIGHT = 23; // pixels; the style sheet says the same
const OVERSCAN = 12; // lines kept beyond both edges
const DETAIL_HEIGHT_GUESS = 320; // pixels, until the opened record was measured
const MORE_WHEN_LEFT = 40; // lines below the edge at which the next page is asked for
const ENTRIES_MAX = 50_000; // lines kept in memory; who scrolls that far wants a filter
const PENDING_MAX = 500; // new records that wait for the reader; beyond, the list is loaded anew

export class RecordList {
  #scroller;
  #body;
  #callbacks;
  #pill;
  #entries = [];
  #ids = new Set();
  #nodes = new Map(); // id -> node, of what is in the document
  #pending = [];
  #overflowed = false;
  #complete = true;
  #newestFirst = true;
  #words = [];
  #selected = null; // id
  #resizes;

  /**
   * @param {HTMLElement} scroller
   * @param {HTMLElement} body the list's content inside it
   * @param {HTMLElement} pill the button that tells of new records
   * @param {{more: () => void, reload: () => void, detail: (entry: object) => Node}} callbacks
   */
  constructor(scroller, body, pill, callbacks) {
    this.#scroller = scroller;
    this.#body = body;
    this.#pill = pill;
    this.#callbacks = callbacks;
    this.#resizes = new ResizeObserver((changes) => this.#measured(changes));
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#draw()).observe(scroller);
    pill.addEventListener("click", () => this.showNew());
  }

  /** The cursor after the last record, or null where the list is complete or full. */
  get cursor() {
    return this.#complete || this.#entries.length >= ENTRIES_MAX ? null : this.#entries.at(-1)?.cursor ?? null;
  }

  /** How many records are loaded. */
  get length() {
    return this.#entries.length;
  }

  /** Whether the list ends because it is full. */
  get full() {
    return !this.#complete && this.#entries.length >= ENTRIES_MAX;
  }

  /** Shows a first page; opened records that are in it stay open. */
  replace(entries, { complete, newestFirst, words }) {
    const opened = new Map(this.#entries.filter((entry) => entry.detailHeight > 0).map((entry) => [entry.id, entry]));
    for (const node of this.#nodes.values()) this.#drop(node);
    this.#nodes.clear();
    this.#ids = new Set(entries.map((entry) => entry.id));
    this.#entries = entries;
    for (const entry of entries) entry.detailHeight = opened.get(entry.id)?.detailHeight ?? 0;
    this.#complete = complete;
    this.#newestFirst = newestFirst;
    this.#words = words;
    this.#setPending([], false);
    if (!this.#ids.has(this.#selected)) this.#selected = null;
    this.#scroller.scrollTop = 0;
    this.#draw();
  }

  /** Adds the next page. */
  append(entries, complete) {
    for (const entry of entries) {
      if (this.#ids.has(entry.id)) continue;
      this.#ids.add(entry.id);
      this.#entries.push(entry);
    }
    this.#complete = complete;
    this.#draw();
  }

  /**
   * Takes in a newer first page. Where it does not reach down to what is loaded there would be a hole in between: then
   * it becomes the list, or the reader is told.
   */
  refreshHead(entries, complete) {
    const joined = this.#entries.length === 0 || complete || entries.some((entry) => this.#ids.has(entry.id));
    if (joined && this.#entries.length > 0) this.arrive(entries);
    else if (this.#reading()) this.#setPending([], true);
    else this.replace(entries, { complete, newestFirst: this.#newestFirst, words: this.#words });
  }

  /** Takes new records in: at once where nobody reads, else they wait behind the pill. Returns how many were new. */
  arrive(entries) {
    const fresh = entries.filter((entry) => !this.#ids.has(entry.id));
    if (fresh.length === 0) return 0;
    for (const entry of fresh) this.#ids.add(entry.id);
    if (this.#reading()) this.#setPending([...this.#pending, ...fresh], this.#overflowed);
    else this.#insert(fresh);
    return fresh.length;
  }

  /** Shows the records that wait, and goes to the top. */
  showNew() {
    const { reload } = this.#callbacks;
    this.#scroller.scrollTop = 0;
    if (this.#overflowed) {
      reload();
      return;
    }
    const waiting = this.#pending;
    this.#setPending([], false);
    this.#insert(waiting);
  }

  /** Moves the selection by `step` lines and brings it into sight. */
  move(step) {
    if (this.#entries.length === 0) return;
    const at = this.#indexOf(this.#selected);
    const next = at < 0 ? this.#firstVisible() : Math.min(Math.max(at + step, 0), this.#entries.length - 1);
    this.#select(next);
  }

  /** Opens or closes the selected record. */
  toggleSelected() {
    const at = this.#indexOf(this.#selected);
    if (at >= 0) this.#toggle(this.#entries[at]);
  }

  /** The selected record, or null. */
  get selected() {
    return this.#entries[this.#indexOf(this.#selected)] ?? null;
  }

  #insert(fresh) {
    const direction = this.#newestFirst ? -1 : 1;
    const ordered = [...fresh].sort((a, b) => direction * compareEntries(a, b));
    const merged = [];
    let at = 0;
    for (const entry of this.#entries) {
      while (at < ordered.length && direction * compareEntries(ordered[at], entry) < 0) merged.push(ordered[at++]);
      merged.push(entry);
    }
    // What belongs below the last loaded record comes by scrolling, unless the list is complete.
    if (this.#complete) merged.push(...ordered.slice(at));
    else for (const entry of ordered.slice(at)) this.#ids.delete(entry.id);
    if (merged.length > ENTRIES_MAX) {
      for (const entry of merged.splice(ENTRIES_MAX)) this.#ids.delete(entry.id);
      this.#complete = false;
    }
    this.#entries = merged;
    this.#draw();
  }

  #reading() {
    const selection = document.getSelection();
    const selecting = selection !== null && !selection.isCollapsed && this.#body.contains(selection.anchorNode);
    return this.#scroller.scrollTop >= LINE_HEIGHT || selecting || this.#entries.some((entry) => entry.detailHeight > 0);
  }

  #setPending(entries, overflowed) {
    this.#overflowed = overflowed || entries.length > PENDING_MAX;
    this.#pending = this.#overflowed ? [] : entries;
    const many = entries.length;
    setVisible(this.#pill, this.#overflowed || many > 0);
    this.#pill.textContent = this.#overflowed ? "Many new records ↑" : `${many} new record${many === 1 ? "" : "s"} ↑`;
  }

  #scrolled() {
    if (this.#scroller.scrollTop < LINE_HEIGHT && !this.#overflowed && this.#pending.length > 0 && !this.#reading()) {
      this.showNew();
    }
    this.#draw();
  }

  // Positions: lines are of one height, and the few opened records add theirs.

  #opened() {
    const opened = [];
    this.#entries.forEach((entry, index) => {
      if (entry.detailHeight > 0) opened.push({ index, height: entry.detailHeight });
    });
    return opened;
  }

  #topOf(index, opened) {
    let top = index * LINE_HEIGHT;
    for (const { index: at, height } of opened) if (at < index) top += height;
    return top;
  }

  #indexAt(offset, opened) {
    let rest = offset;
    let base = 0;
    for (const { index, height } of opened) {
      const lines = (index + 1 - base) * LINE_HEIGHT;
      if (rest < lines) break;
      rest -= lines;
      base = index + 1;
      if (rest < height) return index;
      rest -= height;
    }
    return base + Math.floor(rest / LINE_HEIGHT);
  }

  #firstVisible() {
    return Math.min(this.#indexAt(this.#scroller.scrollTop, this.#opened()), this.#entries.length - 1);
  }

  #draw() {
    const opened = this.#opened();
    const count = this.#entries.length;
    const top = this.#scroller.scrollTop;
    const first = Math.max(0, this.#indexAt(top, opened) - OVERSCAN);
    const last = Math.min(count - 1, this.#indexAt(top + this.#scroller.clientHeight, opened) + OVERSCAN);
    this.#body.style.height = `${this.#topOf(count, opened)}px`;
    this.#body.closest("[role=treegrid]").setAttribute("aria-rowcount", this.#complete ? String(count) : "-1");
    const kept = new Set();
    for (let index = first; index <= last; index++) {
      const entry = this.#entries[index];
      kept.add(entry.id);
      this.#place(entry, index, this.#topOf(index, opened));
    }
    for (const [id, node] of this.#nodes) {
      if (kept.has(id)) continue;
      this.#drop(node);
      this.#nodes.delete(id);
    }
    if (count - 1 - last + OVERSCAN < MORE_WHEN_LEFT && this.cursor !== null) this.#callbacks.more();
  }

  #place(entry, index, top) {
    let node = this.#nodes.get(entry.id);
    if (node === undefined) {
      node = this.#build(entry);
      this.#nodes.set(entry.id, node);
      this.#body.append(node);
    }
    node.style.transform = `translateY(${top}px)`;
    const line = node.firstElementChild;
    line.setAttribute("aria-rowindex", String(index + 1));
    line.tabIndex = entry.id === this.#selected || (this.#selected === null && index === 0) ? 0 : -1;
    line.classList.toggle("selected", entry.id === this.#selected);
    const open = entry.detailHeight > 0;
    if (open !== (node.childElementCount > 1)) this.#setDetail(node, entry, open);
  }

  #build(entry) {
    const level = levelOf(entry.document);
    const [day, clock, fraction] = timeParts(timeOf(entry.document));
    const line = element(
      "div",
      { class: `line ${toneOf(level)}${isSevere(level) ? " severe" : ""}`, role: "row", "aria-expanded": "false" },
      element("span", { class: "time", role: "gridcell" },
        element("span", { class: "faint", text: `${day} ` }), clock, element("span", { class: "faint", text: fraction })),
      element("span", { class: "level", role: "gridcell", text: level === "none" ? "–" : level }),
      element("span", { class: "service", role: "gridcell", text: field(entry.document, "service.name") }),
      element("span", { class: "message", role: "gridcell" }, ...this.#marked(lineOf(entry.document))),
    );
    line.addEventListener("click", () => this.#clicked(entry));
    line.addEventListener("focus", () => this.#focused(entry));
    const node = element("div", { class: "record", role: "rowgroup" }, line);
    node.dataset.id = entry.id;
    return node;
  }

  #marked(text) {
    return highlight(text, this.#words).map(([piece, hit]) => (hit ? element("mark", { text: piece }) : piece));
  }

  #drop(node) {
    if (node.childElementCount > 1) this.#resizes.unobserve(node.lastElementChild);
    node.remove();
  }

  #clicked(entry) {
    const selection = document.getSelection();
    if (selection !== null && !selection.isCollapsed) return; // the reader marks text
    this.#selected = entry.id;
    this.#toggle(entry);
  }

  #focused(entry) {
    if (this.#selected === entry.id) return;
    this.#selected = entry.id;
    this.#draw();
  }

  #toggle(entry) {
    entry.detailHeight = entry.detailHeight > 0 ? 0 : DETAIL_HEIGHT_GUESS;
    this.#draw();
  }

  #setDetail(node, entry, open) {
    node.firstElementChild.setAttribute("aria-expanded", String(open));
    if (!open) {
      this.#resizes.unobserve(node.lastElementChild);
      node.lastElementChild.remove();
      return;
    }
    const cell = element("div", { class: "detail-cell", role: "gridcell" }, this.#callbacks.detail(entry));
    const detail = element("div", { class: "detail", role: "row" }, cell);
    node.append(detail);
    this.#resizes.observe(detail);
  }

  #measured(changes) {
    let changed = false;
    for (const { target } of changes) {
      const entry = this.#entries[this.#indexOf(target.parentElement?.dataset.id)];
      const height = Math.ceil(target.getBoundingClientRect().height);
      if (entry === undefined || height === 0 || entry.detailHeight === 0 || entry.detailHeight === height) continue;
      entry.detailHeight = height;
      changed = true;
    }
    if (changed) this.#draw();
  }

  #indexOf(id) {
    return id === null || id === undefined ? -1 : this.#entries.findIndex((entry) => entry.id === id);
  }

  #select(index) {
    this.#selected = this.#entries[index].id;
    const top = this.#topOf(index, this.#opened());
    const scroller = this.#scroller;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + 2 * LINE_HEIGHT > scroller.scrollTop + scroller.clientHeight) {
      scroller.scrollTop = top + 2 * LINE_HEIGHT - scroller.clientHeight;
    }
    this.#draw();
    this.#nodes.get(this.#selected)?.firstElementChild.focus({ preventScroll: true });
  }
}
