// One record as the list needs it: its line, and the key it is sorted by.

import { fieldOf, textOf } from "./exact.js";
import { timeKey } from "./time.js";

const MESSAGE_SHOWN_MAX = 600; // characters of a line; no screen is wider

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} cursor where the search goes on after this record
 * @property {object} document
 * @property {{time: string, sequence: string}} order
 * @property {number} detailHeight pixels of the opened record, 0 while it is closed
 */

/** Reads a hit of the server. @returns {Entry} */
export function entryOf(hit) {
  const sequence = fieldOf(hit.document, "event.sequence");
  return {
    id: hit.id,
    cursor: hit.cursor,
    document: hit.document,
    order: { time: timeKey(field(hit.document, "@timestamp")), sequence: sequence === undefined ? "" : textOf(sequence) },
    detailHeight: 0,
  };
}

/** The text of a field, empty where the document has none; the first of several values. */
export function field(document, name) {
  const value = fieldOf(document, name);
  if (value === undefined || value === null) return "";
  return textOf(Array.isArray(value) ? value[0] ?? "" : value);
}

/** Milliseconds since 1970 of the record's time, NaN where it has none. */
export function timeOf(document) {
  return Date.parse(field(document, "@timestamp"));
}

/** What stands in the record's line: its message, else the first thing that says what happened. */
export function lineOf(document) {
  const text = field(document, "message") || field(document, "error.message") || field(document, "event.original");
  return text.slice(0, MESSAGE_SHOWN_MAX).replace(/\s*[\r\n]+\s*/g, " ⏎ ");
}

/** The level as it is shown, `none` where the record has none. */
export function levelOf(document) {
  return field(document, "log.level") || "none";
}

/** Orders entries by time, then sequence, then id: below zero where `a` is older. */
export function compareEntries(a, b) {
  return compareText(a.order.time, b.order.time)
    || compareDigits(a.order.sequence, b.order.sequence)
    || compareText(a.id, b.id);
}

function compareText(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

// Sequences are 64-bit: they are compared as text, the longer one is the larger. They are never negative.
function compareDigits(a, b) {
  return a.length - b.length || compareText(a, b);
}
