// What the page shows, kept in its address: copying the address shares the view.

const RANGE_DEFAULT = "15m";
const RANGE = /^(all|\d{1,6}[smhdw])$/;

/**
 * @typedef {object} State
 * @property {string} query
 * @property {string|null} range relative range (`15m`, `all`), or null where `from` and `until` say it
 * @property {string|null} from RFC 3339
 * @property {string|null} until RFC 3339, not included
 * @property {"newest"|"oldest"} order which records come first
 * @property {boolean} live whether new records appear by themselves; only the newest first can
 */

/** Reads the state from the page's address. */
export function readState() {
  const parameters = new URLSearchParams(location.search);
  const from = readTime(parameters.get("from"));
  const until = readTime(parameters.get("until"));
  const range = parameters.get("range") ?? "";
  const absolute = from !== null || until !== null;
  return {
    query: parameters.get("q") ?? "",
    range: absolute ? null : RANGE.test(range) ? range : RANGE_DEFAULT,
    from,
    until,
    order: parameters.get("order") === "oldest" ? "oldest" : "newest",
    live: parameters.get("live") !== "0",
  };
}

function readTime(text) {
  return text !== null && !Number.isNaN(Date.parse(text)) ? text : null;
}

/** Writes the state to the page's address, as a new step of the history where it differs. */
export function writeState(state) {
  const parameters = new URLSearchParams();
  if (state.query !== "") parameters.set("q", state.query);
  if (state.range !== null && state.range !== RANGE_DEFAULT) parameters.set("range", state.range);
  if (state.from !== null) parameters.set("from", state.from);
  if (state.until !== null) parameters.set("until", state.until);
  if (state.order === "oldest") parameters.set("order", "oldest");
  if (!state.live) parameters.set("live", "0");
  const search = parameters.size === 0 ? "" : `?${parameters}`;
  if (search !== location.search) history.pushState(null, "", location.pathname + search);
}

/** Whether new records can appear: not in a closed time range, and not at the end of a list. */
export function canBeLive(state) {
  return state.until === null && state.order === "newest";
}

/** The time parameters of a request: relative ones are resolved by the server, by its clock. */
export function timeParameters(state) {
  if (state.range === "all") return {};
  if (state.range !== null) return { from: `now-${state.range}`, until: "now" };
  return { from: state.from, until: state.until };
}

const HISTORY_KEY = "weir.queries";
const HISTORY_MAX = 20;

/** Earlier queries, the newest first. */
export function queryHistory() {
  try {
    const stored = JSON.parse(localStorage.getItem(HISTORY_KEY) ?? "[]");
    return Array.isArray(stored) ? stored.filter((query) => typeof query === "string") : [];
  } catch {
    return []; // storage is switched off, or holds something else
  }
}

/** Remembers a query that was answered. */
export function rememberQuery(query) {
  const text = query.trim();
  if (text === "") return;
  const kept = queryHistory().filter((other) => other !== text);
  store(HISTORY_KEY, JSON.stringify([text, ...kept].slice(0, HISTORY_MAX)));
}

const THEME_KEY = "weir.theme";

/** `light`, `dark`, or null where the system decides. */
export function storedTheme() {
  try {
    const theme = localStorage.getItem(THEME_KEY);
    return theme === "light" || theme === "dark" ? theme : null;
  } catch {
    return null;
  }
}

/** Keeps the chosen theme for the next visit. */
export function storeTheme(theme) {
  store(THEME_KEY, theme);
}

function store(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Storage is full or switched off: the page works without.
  }
}
