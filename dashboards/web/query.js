// Editing the text of a query: filters are added to it as text, so that what is searched is what is read.

const BARE_VALUE = /^[\p{L}\p{N}_][\p{L}\p{N}_./@-]*$/u;
const OPERATOR = /^(and|or|not)$/i;
// A quoted phrase, or a run without blanks: enough to find our own filters and the words to highlight.
const TOKEN = /(?:[^\s"()]|\\.)*"(?:[^"\\]|\\.)*"|[()]|[^\s()]+/g;

/** `field:value` in the query language, quoted where it has to be. */
export function filterText(field, value) {
  return `${escapeField(field)}:${quoteValue(value)}`;
}

function escapeField(field) {
  return field.replace(/[\\\s:"()<>=*?!{}[\]^~/+]/g, "\\$&");
}

function quoteValue(value) {
  if (BARE_VALUE.test(value) && !OPERATOR.test(value)) return value;
  return `"${value.replace(/[\\"]/g, "\\$&").replace(/[\r\n]+/g, " ")}"`;
}

/** The query with a filter added; its opposite is taken out, and a filter that is there already changes nothing. */
export function withFilter(query, field, value, kind) {
  const positive = filterText(field, value);
  const negative = `NOT ${positive}`;
  const [wanted, opposite] = kind === "out" ? [negative, positive] : [positive, negative];
  const rest = removeFilter(query, opposite);
  if (hasFilter(rest, wanted)) return rest;
  const base = rest.trim();
  if (base === "") return wanted;
  return `${hasAlternative(base) ? `(${base})` : base} ${wanted}`;
}

/** Whether the query holds exactly this filter, at its top level. */
export function hasFilter(query, filter) {
  return findFilter(query, filter) !== null;
}

function removeFilter(query, filter) {
  const found = findFilter(query, filter);
  if (found === null) return query;
  return `${query.slice(0, found.start).trimEnd()} ${query.slice(found.end).trimStart()}`.trim();
}

/** Takes a filter out if the query has it, else adds it. */
export function toggledFilter(query, field, value) {
  const positive = filterText(field, value);
  return hasFilter(query, positive) ? removeFilter(query, positive) : withFilter(query, field, value, "in");
}

function findFilter(query, filter) {
  const tokens = tokensOf(query);
  const wanted = tokensOf(filter).map((token) => token.text);
  for (let at = 0; at + wanted.length <= tokens.length; at++) {
    const run = tokens.slice(at, at + wanted.length);
    if (!run.every((token, offset) => token.depth === 0 && token.text === wanted[offset])) continue;
    const before = tokens[at - 1]?.text ?? "";
    const after = tokens[at + wanted.length]?.text ?? "";
    if (OPERATOR.test(before) || OPERATOR.test(after) && !/^not$/i.test(after)) continue;
    return { start: run[0].start, end: run.at(-1).end };
  }
  return null;
}

function hasAlternative(query) {
  return tokensOf(query).some((token) => token.depth === 0 && /^(or|\|\|)$/i.test(token.text));
}

function tokensOf(query) {
  let depth = 0;
  return Array.from(query.matchAll(TOKEN), (match) => {
    if (match[0] === ")") depth = Math.max(0, depth - 1);
    const token = { text: match[0], start: match.index, end: match.index + match[0].length, depth };
    if (match[0] === "(") depth += 1;
    return token;
  });
}

/** The words and phrases that are searched in messages, lower case, for highlighting. */
export function highlightedWords(query) {
  const words = [];
  let negated = false;
  for (const { text } of tokensOf(query)) {
    const operator = OPERATOR.test(text);
    if (operator || text === "(" || text === ")") {
      negated = /^not$/i.test(text);
      continue;
    }
    const word = text.startsWith("message:") ? text.slice("message:".length) : text;
    const bare = word.startsWith('"') ? word.slice(1, -1).replace(/\\(.)/g, "$1") : word.replace(/\*+$/, "");
    const searched = !negated && !/^[-!]/.test(text) && (word.startsWith('"') || !/[:<>=*?]/.test(bare));
    if (searched && bare.length > 1) words.push(bare.toLowerCase());
    negated = false;
  }
  return words;
}

/** Cuts `text` into `[piece, is highlighted]`, at the first occurrences of the words. */
export function highlight(text, words) {
  if (words.length === 0) return [[text, false]];
  const lower = text.toLowerCase();
  // Some characters change their length in lower case; then positions would not agree.
  if (lower.length !== text.length) return [[text, false]];
  const pieces = [];
  let at = 0;
  while (at < text.length) {
    let next = null;
    for (const word of words) {
      const found = lower.indexOf(word, at);
      if (found >= 0 && (next === null || found < next.start)) next = { start: found, end: found + word.length };
    }
    if (next === null) break;
    if (next.start > at) pieces.push([text.slice(at, next.start), false]);
    pieces.push([text.slice(next.start, next.end), true]);
    at = next.end;
  }
  if (at < text.length || pieces.length === 0) pieces.push([text.slice(at), false]);
  return pieces;
}
