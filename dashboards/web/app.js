// The page: its state, what is asked of the server when the state changes, and how new records come in.

import { address, ask, Latest } from "./api.js";
import { byId, element, setVisible } from "./dom.js";
import { buildDetail } from "./detail.js";
import { DriftNotice } from "./drift.js";
import { PipelineView } from "./pipeline.js";
import { Histogram } from "./histogram.js";
import { RecordList } from "./list.js";
import { filterText, highlightedWords, toggledFilter, withFilter } from "./query.js";
import { entryOf, field, timeOf } from "./record.js";
import { SearchBox } from "./searchbox.js";
import { FACETS, Sidebar } from "./sidebar.js";
import { canBeLive, readState, rememberQuery, storedTheme, storeTheme, timeParameters, writeState } from "./state.js";
import { Tail } from "./tail.js";
import { TimeRange } from "./timerange.js";
import { toRfc3339 } from "./time.js";

const PAGE_SIZE = 100; // records of one request
const BUCKET_WIDTH = 8; // pixels of the histogram, at least
const FACET_VALUES = 12;
const OVERVIEW_EVERY_MIN = 2000; // milliseconds between two counts while records come in
const OVERVIEW_EVERY_IDLE = 15_000; // milliseconds between two counts while none do: relative ranges move on
const OVERVIEW_SHARE = 10; // counting takes at most one part in so many of the server's time
const FIELDS_EVERY = 30_000; // milliseconds
const DRIFT_EVERY = 15_000; // milliseconds
const PIPELINE_EVERY = 2_000;
const HEAD_EVERY_MIN = 1000; // milliseconds between two loads of the first page while records flood in
const RETRY = 3000; // milliseconds until an unavailable server is asked again
const BUSY_SHOWN_AFTER = 150; // milliseconds; a flicker says nothing
const SURROUNDINGS = 30_000; // milliseconds on both sides of a record

let state = readState();
let overviewDue = 0;
let overviewStale = false;
let headTimer = 0;
let retryTimer = 0;
let loadedPage = null; // the request of the next page, while it is under way

const requests = { first: new Latest(), overview: new Latest(), facets: new Latest(), head: new Latest() };

const list = new RecordList(byId("scroller"), byId("records"), byId("new-records"), {
  more: loadMore,
  reload: loadRecords,
  detail: (entry) => buildDetail(entry.document, { filter: addFilter, trace: showTrace, surroundings: showSurroundings }),
});
const histogram = new Histogram(byId("histogram"), (from, until) =>
  change({ range: null, from: toRfc3339(from), until: toRfc3339(until) }));
const pipeline = new PipelineView(byId("pipeline"), byId("pipeline-panel"), (query) => change({ query }));
const drift = new DriftNotice(byId("drift"), (query) => change({ query }));
const sidebar = new Sidebar(byId("side"), {
  filter: addFilter,
  query: () => state.query,
  parameters: searchParameters,
});
const box = new SearchBox(
  { form: byId("search"), input: byId("query"), list: byId("suggestions"), error: byId("query-error") },
  { submit: (query) => (query === state.query ? load() : change({ query })), fieldNames: () => sidebar.names, parameters: searchParameters },
);
const range = new TimeRange(byId("range"), byId("range-panel"), (chosen) => change(chosen));
const tail = new Tail({ ready: refreshHead, records: recordsCame, broken: () => showLive("waiting") });

function searchParameters() {
  return { q: state.query, ...timeParameters(state) };
}

/** Goes to another view. */
function change(difference) {
  state = { ...state, ...difference };
  writeState(state);
  load();
}

/** Loads all that the state asks for. */
function load() {
  clearTimeout(retryTimer);
  tail.close();
  box.text = state.query;
  range.show(state, null);
  document.title = state.query === "" ? "Weir" : `${state.query} · Weir`;
  byId("export").href = address("export", { ...searchParameters(), order: state.order, format: "ndjson" });
  byId("order").textContent = state.order === "newest" ? "Time ↓" : "Time ↑";
  void loadRecords();
  void loadOverview();
}

async function loadRecords() {
  const asked = state;
  const busy = setTimeout(() => document.body.classList.add("busy"), BUSY_SHOWN_AFTER);
  try {
    const answer = await requests.first.run((signal) => ask("search", pageParameters(null), signal));
    if (answer === null) return;
    showAnswer(asked, answer);
  } catch (error) {
    showFailure(error);
  } finally {
    clearTimeout(busy);
    if (!requests.first.busy) document.body.classList.remove("busy");
  }
}

function pageParameters(after) {
  return { ...searchParameters(), limit: PAGE_SIZE, order: state.order, after };
}

function showAnswer(asked, answer) {
  box.showError(null, null);
  document.body.classList.remove("failed");
  rememberQuery(asked.query);
  loadedPage = null;
  requests.head.run(async () => null); // an older look at the first page is of no use any more
  list.replace(answer.hits.map(entryOf), {
    complete: answer.hits.length < PAGE_SIZE,
    newestFirst: asked.order === "newest",
    words: highlightedWords(asked.query),
  });
  showTotal(answer.total, answer.took_ms);
  showEnd();
  if (answer.total === 0) void explainEmpty(asked);
  else setVisible(byId("empty"), false);
  follow();
}

function showFailure(error) {
  tail.close();
  document.body.classList.add("failed");
  if (error.status === 400) {
    box.showError(error.message, error.position);
    showLive("off");
    return;
  }
  setVisible(byId("empty"), true);
  byId("empty").replaceChildren(element("h2", { text: "No answer" }), element("p", { text: error.message }));
  showLive("waiting");
  clearTimeout(retryTimer);
  retryTimer = setTimeout(load, RETRY);
}

async function loadMore() {
  const cursor = list.cursor;
  if (cursor === null || loadedPage === cursor) return;
  loadedPage = cursor;
  const asked = state;
  try {
    const answer = await ask("search", pageParameters(cursor));
    if (asked !== state || loadedPage !== cursor) return;
    loadedPage = null;
    list.append(answer.hits.map(entryOf), answer.hits.length < PAGE_SIZE);
    showEnd();
  } catch {
    // Scrolling asks again, after a moment.
    setTimeout(() => loadedPage === cursor && (loadedPage = null), RETRY);
  }
}

function showEnd() {
  const end = byId("end");
  setVisible(end, list.length > 0 && list.cursor === null);
  end.textContent = list.full
    ? `${list.length.toLocaleString()} records are loaded. Narrow the time range or the query to go on.`
    : "No more records in this range.";
}

// Histogram, levels, services.

async function loadOverview() {
  const asked = state;
  overviewStale = false;
  overviewDue = Infinity;
  const buckets = Math.max(20, Math.min(200, Math.floor(byId("histogram").clientWidth / BUCKET_WIDTH)));
  const started = performance.now();
  try {
    const facets = FACETS.map(([name]) => name);
    const [counts, terms] = await Promise.all([
      requests.overview.run((signal) => ask("histogram", { ...searchParameters(), buckets }, signal)),
      requests.facets.run((signal) => ask("terms", { ...searchParameters(), field: facets, size: FACET_VALUES }, signal)),
    ]);
    if (counts === null || terms === null) return;
    histogram.show(counts);
    sidebar.showFacets(terms.terms);
    range.show(asked, counts);
    showTotal(counts.total, null);
    sidebar.refresh();
  } catch {
    // The records' own request says what is wrong, once.
  }
  const took = performance.now() - started;
  overviewDue = performance.now() + Math.max(OVERVIEW_EVERY_MIN, took * OVERVIEW_SHARE);
}

function overviewTick() {
  if (document.hidden || !followed() || document.body.classList.contains("failed")) return;
  const now = performance.now();
  const due = overviewStale ? overviewDue : overviewDue + OVERVIEW_EVERY_IDLE;
  if (now >= due) void loadOverview();
}

async function loadFields() {
  try {
    sidebar.showFields((await ask("fields", {})).fields);
  } catch {
    // The list of fields is a help; it comes with the next try.
  }
}

function showTotal(total, tookMilliseconds) {
  byId("total").textContent = `${total.toLocaleString()} record${total === 1 ? "" : "s"}`;
  if (tookMilliseconds !== null) byId("took").textContent = tookMilliseconds < 1 ? "under 1 ms" : `${tookMilliseconds.toLocaleString()} ms`;
}

async function explainEmpty(asked) {
  const empty = byId("empty");
  let everything = 0;
  try {
    everything = (await ask("search", { limit: 0 })).total;
  } catch {
    return; // the next request says so
  }
  if (asked !== state || list.length > 0) return;
  setVisible(empty, true);
  if (everything === 0) {
    empty.replaceChildren(
      element("h2", { text: "No records yet" }),
      element("p", {}, "They appear here by themselves, within seconds of being written. To follow log files:"),
      element("pre", {}, "weir up /var/log/myservice/*.log"),
      element("p", {}, "or look around with demo services:"),
      element("pre", {}, "weir up --demo"),
    );
    return;
  }
  const ways = element("div", { class: "toolbar" });
  if (asked.range !== "all") ways.append(wayOut("Search all time", { range: "all", from: null, until: null }));
  if (asked.query !== "") ways.append(wayOut("Clear the query", { query: "" }));
  empty.replaceChildren(
    element("h2", { text: "Nothing matches" }),
    element("p", { text: `There are ${everything.toLocaleString()} records, but none for this query in this time range.` }),
    ways,
  );
}

function wayOut(text, difference) {
  return element("button", { type: "button", text, on: { click: () => change(difference) } });
}

// Live: new records are sent; when more came than were sent, the first page is looked at again.

function followed() {
  return state.live && canBeLive(state);
}

function follow() {
  if (!followed()) {
    showLive(canBeLive(state) ? "off" : "impossible");
    return;
  }
  // A browser opens six connections to one server: the tails of tabs that nobody sees would keep them all.
  if (!document.hidden) tail.open(state.query);
}

function visibilityChanged() {
  if (document.hidden) tail.close();
  else if (!document.body.classList.contains("failed")) follow(); // and looks at the first page when it is ready
}

function showLive(status) {
  const button = byId("live");
  button.dataset.status = status;
  button.setAttribute("aria-pressed", String(followed()));
  button.title = {
    on: "New records appear by themselves. Click to pause.",
    off: "Paused. Click to let new records appear by themselves.",
    waiting: "The connection is broken; trying again.",
    impossible: "New records appear with the newest first, and a time range without end. Click for that.",
  }[status];
}

function toggleLive() {
  if (followed()) change({ live: false });
  else if (state.until !== null) change({ live: true, order: "newest", range: "15m", from: null, until: null });
  else change({ live: true, order: "newest" });
}

function recordsCame({ hits, left_out: leftOut }) {
  overviewStale = true;
  setVisible(byId("empty"), false);
  if (leftOut > 0) {
    refreshHeadSoon();
    return;
  }
  list.arrive(hits.map(entryOf));
}

function refreshHeadSoon() {
  if (headTimer !== 0) return;
  headTimer = setTimeout(() => {
    headTimer = 0;
    if (followed()) void refreshHead();
  }, HEAD_EVERY_MIN);
}

async function refreshHead() {
  showLive("on");
  const asked = state;
  try {
    const answer = await requests.head.run((signal) => ask("search", pageParameters(null), signal));
    if (answer === null || asked !== state) return;
    const entries = answer.hits.map(entryOf);
    if (entries.length > 0) setVisible(byId("empty"), false);
    list.refreshHead(entries, answer.hits.length < PAGE_SIZE);
    overviewStale = true;
  } catch {
    refreshHeadSoon();
  }
}

// Ways to another view.

function addFilter(name, value, kind) {
  const query = kind === "toggle" ? toggledFilter(state.query, name, value) : withFilter(state.query, name, value, kind);
  change({ query });
}

function showTrace(id) {
  change({ query: filterText("trace.id", id), range: "all", from: null, until: null, order: "oldest" });
}

function showSurroundings(document) {
  const time = timeOf(document);
  const filters = ["log.file.path", "host.name"].filter((name) => field(document, name) !== "");
  change({
    query: filters.map((name) => filterText(name, field(document, name))).join(" "),
    range: null,
    from: toRfc3339(time - SURROUNDINGS),
    until: toRfc3339(time + SURROUNDINGS),
  });
}

function toggleTheme() {
  const dark = storedTheme() ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  storeTheme(dark === "dark" ? "light" : "dark");
  applyTheme(dark === "dark" ? "light" : "dark");
}

function applyTheme(theme) {
  if (theme === null) delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

const KEYS = {
  "/": () => box.focus(),
  j: () => list.move(1),
  k: () => list.move(-1),
  ArrowDown: () => list.move(1),
  ArrowUp: () => list.move(-1),
  Enter: () => list.toggleSelected(),
  o: () => list.toggleSelected(),
  g: () => list.showNew(),
  l: toggleLive,
  t: () => list.selected !== null && field(list.selected.document, "trace.id") !== "" && showTrace(field(list.selected.document, "trace.id")),
  "?": () => byId("help").showModal(),
};

function keyPressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || byId("help").open) return;
  const target = event.target;
  if (target.closest("input, textarea, select, [popover]")) return;
  // Enter on a button is the button's.
  if (event.key === "Enter" && target.closest("button, a")) return;
  const action = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : null;
  if (action === null) return;
  event.preventDefault();
  action();
}

function start() {
  applyTheme(storedTheme());
  document.addEventListener("keydown", keyPressed);
  byId("live").addEventListener("click", toggleLive);
  byId("theme").addEventListener("click", toggleTheme);
  byId("show-help").addEventListener("click", () => byId("help").showModal());
  byId("order").addEventListener("click", () => change({ order: state.order === "newest" ? "oldest" : "newest" }));
  byId("side-toggle").addEventListener("click", () => document.body.classList.toggle("side-shown"));
  document.addEventListener("visibilitychange", visibilityChanged);
  addEventListener("popstate", () => {
    state = readState();
    load();
  });
  setInterval(overviewTick, 500);
  setInterval(() => document.hidden || void loadFields(), FIELDS_EVERY);
  setInterval(() => document.hidden || void drift.refresh(), DRIFT_EVERY);
  setInterval(() => document.hidden || void pipeline.refresh(), PIPELINE_EVERY);
  load();
  void loadFields();
  void drift.refresh();
  void pipeline.refresh();
}

start();
