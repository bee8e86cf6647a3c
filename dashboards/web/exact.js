// JSON whose numbers stay as they were written. A JavaScript number has 53 bits: `event.sequence` has 64, and `1.10` is not
// `1.1` to the one who reads a log.

/** A number that a JavaScript number would change. */
export class ExactNumber {
  constructor(source) {
    this.source = source;
  }

  toString() {
    return this.source;
  }
}

/** Parses JSON; numbers that a JavaScript number would change become `ExactNumber`. */
export function parseExact(text) {
  return JSON.parse(text, (_, value, context) => {
    if (typeof value !== "number" || context === undefined) return value;
    return String(value) === context.source ? value : new ExactNumber(context.source);
  });
}

/** Prints what `parseExact` read, indented, with the same numbers. */
export function printExact(value, indent = "") {
  if (value instanceof ExactNumber) return value.source;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return `[\n${value.map((item) => inner + printExact(item, inner)).join(",\n")}\n${indent}]`;
  }
  const members = Object.entries(value);
  if (members.length === 0) return "{}";
  const lines = members.map(([name, member]) => `${inner}${JSON.stringify(name)}: ${printExact(member, inner)}`);
  return `{\n${lines.join(",\n")}\n${indent}}`;
}

/** The text of a field's value, as it is shown and searched. */
export function textOf(value) {
  if (typeof value === "string") return value;
  if (value instanceof ExactNumber) return value.source;
  return value !== null && typeof value === "object" ? printExact(value) : String(value);
}

/** The leaves of a document as `[dotted name, value]`: nested objects are flattened, arrays are kept. */
export function leaves(document) {
  const found = [];
  const walk = (prefix, object) => {
    for (const [name, value] of Object.entries(object)) {
      const path = prefix + name;
      const nested = value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof ExactNumber);
      if (nested && Object.keys(value).length > 0) walk(`${path}.`, value);
      else found.push([path, value]);
    }
  };
  walk("", document);
  return found;
}

/** The value of a dotted field, whether the document is flat or nested; undefined where it has none. */
export function fieldOf(document, name) {
  if (Object.hasOwn(document, name)) return document[name];
  for (let dot = name.indexOf("."); dot > 0; dot = name.indexOf(".", dot + 1)) {
    const head = name.slice(0, dot);
    if (!Object.hasOwn(document, head)) continue;
    const inner = document[head];
    if (inner === null || typeof inner !== "object") continue;
    const value = fieldOf(inner, name.slice(dot + 1));
    if (value !== undefined) return value;
  }
  return undefined;
}
