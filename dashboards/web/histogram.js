// Records over time, stacked by level: hover for counts, drag or click to zoom in.

import { element, setVisible, svg } from "./dom.js";
import { LEVELS, toneOf } from "./levels.js";
import { axisTime, shortTime, spanText } from "./time.js";

const HEIGHT = 104; // pixels
const AXIS = 18; // pixels below the bars
const HEADROOM = 14; // pixels above them
const TICK_DISTANCE_MIN = 110; // pixels
const DRAG_MIN = 4; // pixels; less is a click
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TICKS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE,
  10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 91 * DAY, 365 * DAY,
];

export class Histogram {
  #holder;
  #tooltip;
  #zoom;
  #data = null;
  #drawing = null;
  #dragFrom = null;
  #at = null; // index of the bucket under the pointer or the keyboard

  /** @param {HTMLElement} holder @param {(from: number, until: number) => void} zoom in milliseconds */
  constructor(holder, zoom) {
    this.#holder = holder;
    this.#zoom = zoom;
    this.#tooltip = element("div", { class: "tooltip", role: "status", hidden: true });
    holder.append(this.#tooltip);
    new ResizeObserver(() => this.#draw()).observe(holder);
    holder.addEventListener("pointerdown", (event) => this.#pressed(event));
    holder.addEventListener("pointermove", (event) => this.#moved(event));
    holder.addEventListener("pointerup", (event) => this.#released(event));
    holder.addEventListener("pointercancel", () => this.#endDrag());
    holder.addEventListener("pointerleave", () => this.#hover(null));
    holder.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Shows the server's answer: `{from, until, interval, buckets: [{start, count, levels}]}`, times in ms. */
  show(data) {
    this.#data = data;
    this.#draw();
  }

  get #width() {
    return Math.max(this.#holder.clientWidth, 1);
  }

  #x(time) {
    const { from, until } = this.#data;
    return ((time - from) / (until - from)) * this.#width;
  }

  #timeAt(x) {
    const { from, until } = this.#data;
    return from + (Math.min(Math.max(x, 0), this.#width) / this.#width) * (until - from);
  }

  #draw() {
    const data = this.#data;
    this.#drawing?.remove();
    this.#drawing = null;
    if (data === null || data.until <= data.from) return;
    const peak = Math.max(1, ...data.buckets.map((bucket) => bucket.count));
    const drawing = svg("svg", { width: this.#width, height: HEIGHT, "aria-hidden": "true" });
    drawing.append(...this.#axis(peak), ...data.buckets.flatMap((bucket) => this.#bars(bucket, peak)));
    this.#drawing = drawing;
    this.#holder.prepend(drawing);
    this.#holder.setAttribute("aria-label", this.#summary(peak));
    this.#hover(this.#at !== null && this.#at < data.buckets.length ? this.#at : null);
  }

  #summary(peak) {
    const { from, until, interval, total } = this.#data;
    return `Histogram: ${total} records from ${shortTime(from)} to ${shortTime(until)}, `
      + `at most ${peak} in ${spanText(interval)}. Arrow keys read, Enter zooms in.`;
  }

  #bars(bucket, peak) {
    const left = Math.max(this.#x(bucket.start), 0);
    const right = Math.min(this.#x(bucket.start + this.#data.interval), this.#width);
    const width = Math.max(right - left - (right - left > 3 ? 1 : 0), 0.5);
    const scale = (HEIGHT - AXIS - HEADROOM) / peak;
    let bottom = HEIGHT - AXIS;
    const bars = [];
    for (const [level, count] of stack(bucket)) {
      // A single error among a million records has to be seen.
      const height = Math.max(count * scale, 1.5);
      bottom = Math.max(bottom - height, 1);
      bars.push(svg("rect", { class: `bar ${toneOf(level)}`, x: left, y: bottom, width, height }));
    }
    return bars;
  }

  #axis(peak) {
    const { from, until } = this.#data;
    const span = until - from;
    const step = TICKS.find((tick) => (tick / span) * this.#width >= TICK_DISTANCE_MIN) ?? TICKS.at(-1);
    const zone = new Date(from).getTimezoneOffset() * MINUTE;
    const nodes = [
      svg("line", { class: "base", x1: 0, x2: this.#width, y1: HEIGHT - AXIS + 0.5, y2: HEIGHT - AXIS + 0.5 }),
      svg("line", { class: "grid", x1: 0, x2: this.#width, y1: HEADROOM - 0.5, y2: HEADROOM - 0.5 }),
      svg("text", { class: "axis peak", x: 2, y: HEADROOM - 4 }, peak.toLocaleString()),
    ];
    for (let time = Math.ceil((from - zone) / step) * step + zone; time < until; time += step) {
      const x = this.#x(time);
      if (x < 24 || x > this.#width - 24) continue;
      nodes.push(
        svg("line", { class: "tick", x1: x, x2: x, y1: HEIGHT - AXIS, y2: HEIGHT - AXIS + 4 }),
        svg("text", { class: "axis", x, y: HEIGHT - 3, "text-anchor": "middle" }, axisTime(time, span)),
      );
    }
    return nodes;
  }

  #offset(event) {
    return event.clientX - this.#holder.getBoundingClientRect().left;
  }

  #bucketAt(x) {
    const { buckets, interval } = this.#data;
    const time = this.#timeAt(x);
    const at = buckets.findIndex((bucket) => bucket.start <= time && time < bucket.start + interval);
    return at < 0 ? null : at;
  }

  #pressed(event) {
    if (this.#data === null || event.button !== 0) return;
    this.#dragFrom = this.#offset(event);
    this.#holder.setPointerCapture(event.pointerId);
  }

  #moved(event) {
    if (this.#data === null) return;
    const x = this.#offset(event);
    if (this.#dragFrom === null) {
      this.#hover(this.#bucketAt(x));
      return;
    }
    this.#hover(null);
    this.#drawing?.querySelector(".selection")?.remove();
    const left = Math.max(Math.min(x, this.#dragFrom), 0);
    const width = Math.min(Math.max(x, this.#dragFrom), this.#width) - left;
    this.#drawing?.append(svg("rect", { class: "selection", x: left, y: 0, width: Math.max(width, 0), height: HEIGHT - AXIS }));
  }

  #released(event) {
    const start = this.#dragFrom;
    this.#endDrag();
    if (start === null || this.#data === null) return;
    const end = this.#offset(event);
    if (Math.abs(end - start) >= DRAG_MIN) this.#zoomTo(this.#timeAt(Math.min(start, end)), this.#timeAt(Math.max(start, end)));
    else this.#zoomToBucket(this.#bucketAt(end));
  }

  #endDrag() {
    this.#dragFrom = null;
    this.#drawing?.querySelector(".selection")?.remove();
  }

  #zoomToBucket(at) {
    if (at === null) return;
    const { start } = this.#data.buckets[at];
    this.#zoomTo(start, start + this.#data.interval);
  }

  // Whole milliseconds; below two there is nothing left to zoom into.
  #zoomTo(from, until) {
    const [first, last] = [Math.floor(from), Math.ceil(until)];
    if (last - first >= 2) this.#zoom(first, last);
  }

  #key(event) {
    if (this.#data === null || this.#data.buckets.length === 0) return;
    const last = this.#data.buckets.length - 1;
    if (event.key === "ArrowLeft") this.#hover(Math.max((this.#at ?? last + 1) - 1, 0));
    else if (event.key === "ArrowRight") this.#hover(Math.min((this.#at ?? -1) + 1, last));
    else if (event.key === "Enter") this.#zoomToBucket(this.#at);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #hover(at) {
    this.#at = at;
    this.#drawing?.querySelector(".hover")?.remove();
    setVisible(this.#tooltip, at !== null);
    if (at === null || this.#drawing === null) return;
    const { buckets, interval } = this.#data;
    const bucket = buckets[at];
    const left = Math.max(this.#x(bucket.start), 0);
    const right = Math.min(this.#x(bucket.start + interval), this.#width);
    this.#drawing.prepend(svg("rect", { class: "hover", x: left, y: 0, width: Math.max(right - left, 1), height: HEIGHT - AXIS }));
    this.#fillTooltip(bucket);
    const beside = right + 8 + this.#tooltip.offsetWidth > this.#width ? left - 8 - this.#tooltip.offsetWidth : right + 8;
    this.#tooltip.style.left = `${Math.max(beside, 0)}px`;
  }

  #fillTooltip(bucket) {
    const { interval } = this.#data;
    this.#tooltip.replaceChildren(
      element("div", { class: "when", text: `${shortTime(bucket.start, interval)} · ${spanText(interval)}` }),
      ...stack(bucket).reverse().map(([level, count]) =>
        element("div", { class: toneOf(level) },
          element("span", { class: "name", text: level === "none" ? "no level" : level }),
          element("span", { class: "count", text: count.toLocaleString() }))),
    );
  }
}

// The levels of a bucket in stacking order; unknown names last.
function stack(bucket) {
  const order = (level) => (LEVELS.indexOf(level) + LEVELS.length + 1) % (LEVELS.length + 1);
  return Object.entries(bucket.levels).filter(([, count]) => count > 0).sort((a, b) => order(a[0]) - order(b[0]));
}
