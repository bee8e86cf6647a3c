// Building the page from nodes. Text of records only ever becomes text nodes: nothing here parses markup.

/**
 * Makes an element.
 * @param {string} tag
 * @param {Record<string, unknown>} attributes `class`, `text`, `on` (event handlers), else attributes; null and false leave one out
 * @param {...(Node|string)} children
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  assign(node, attributes);
  node.append(...children);
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

/** Makes an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  assign(node, attributes);
  node.append(...children);
  return node;
}

function assign(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    } else if (name === "text") {
      node.textContent = value;
    } else {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
}

/** Shows or hides a node. */
export function setVisible(node, visible) {
  node.hidden = !visible;
}

/** The element of the document with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Calls `action` once, `milliseconds` after the last call. */
export function debounce(milliseconds, action) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), milliseconds);
  };
}
