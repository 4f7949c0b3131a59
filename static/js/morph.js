// @ts-check
// Turn one element into what new HTML says while keeping its nodes: focus, selection, scroll positions, what a person
// typed and which <details> are open survive. Nodes are matched by id or data-key, else by kind and order.
//
// Left alone: `open` of <details> and <dialog>, fields that were edited, and everything under data-morph="skip".

/** @typedef {ChildNode} Node_ */

/**
 * Morph `from` into the one root element of `html`.
 * @param {Element} from
 * @param {string} html
 */
export function morph(from, html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  const to = template.content.firstElementChild;
  if (!to || template.content.childElementCount !== 1) throw new Error("a panel must have exactly one root element");
  const restore = remember(from);
  morphElement(from, to);
  restore();
}

/** @param {Node_} node @returns {string} a name that finds the same thing again; "" when it has none */
function keyOf(node) {
  if (!(node instanceof Element)) return "";
  return node.id ? `#${node.id}` : (node.getAttribute("data-key") ?? "");
}

/** @param {Node_} a @param {Node_} b */
function isSameKind(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName;
}

/** @param {Element} from @param {Element} to */
function morphElement(from, to) {
  if (from.getAttribute("data-morph") === "skip") return;
  if (from.isEqualNode(to)) return;
  morphAttributes(from, to);
  if (from instanceof HTMLTextAreaElement) {
    if (from.value === from.defaultValue) from.defaultValue = to.textContent ?? "";
    return;
  }
  morphChildren(from, to);
}

/** @param {Element} from @param {Element} to */
function morphAttributes(from, to) {
  const opened = from instanceof HTMLDetailsElement || from instanceof HTMLDialogElement;
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !(opened && name === "open")) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    // An attribute `value` or `checked` is only the default: what a person entered stays.
    if (!(opened && name === "open") && from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
}

/** @param {Element} from @param {Element} to */
function morphChildren(from, to) {
  /** @type {Map<string, Node_>} */
  const keyed = new Map();
  for (const child of from.childNodes) if (keyOf(child)) keyed.set(keyOf(child), child);
  /** @type {Set<string>} keys still to come: nodes with these are not given to others */
  const wanted = new Set([...to.childNodes].map(keyOf));
  /** @type {Node_ | null} */
  let cursor = from.firstChild;
  for (const next of [...to.childNodes]) {
    const match = find(next, cursor, keyed);
    if (!match) {
      from.insertBefore(document.importNode(next, true), cursor);
      continue;
    }
    // What need not stay is dropped first, so that what stays need not move: a moved node loses focus and scroll.
    while (cursor && cursor !== match && !isKept(cursor, wanted)) cursor = drop(cursor);
    if (match === cursor) cursor = cursor.nextSibling;
    else from.insertBefore(match, cursor);
    if (match instanceof Element) morphElement(match, /** @type {Element} */ (next));
    else if (match.nodeValue !== next.nodeValue) match.nodeValue = next.nodeValue;
  }
  while (cursor) cursor = drop(cursor);
}

/** @param {Node_} node @param {Set<string>} wanted @returns {boolean} false also for text: it is cheap to make anew */
function isKept(node, wanted) {
  return node instanceof Element && wanted.has(keyOf(node));
}

/** @param {Node_} node @returns {Node_ | null} the one after it */
function drop(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

/**
 * @param {Node_} next
 * @param {Node_ | null} cursor
 * @param {Map<string, Node_>} keyed
 * @returns {Node_ | null} the old node that is to become `next`
 */
function find(next, cursor, keyed) {
  const key = keyOf(next);
  if (key) {
    const match = keyed.get(key);
    keyed.delete(key);
    return match && isSameKind(match, next) ? match : null;
  }
  for (let node = cursor; node; node = node.nextSibling) if (!keyOf(node) && isSameKind(node, next)) return node;
  return null;
}

/** @param {Element} root @returns {() => void} puts focus and selection back where they were */
function remember(root) {
  const focused = document.activeElement;
  const field = focused instanceof HTMLInputElement || focused instanceof HTMLTextAreaElement ? focused : null;
  const [start, end] = field && root.contains(field) ? [field.selectionStart, field.selectionEnd] : [null, null];
  const selection = document.getSelection();
  const range = selection && selection.rangeCount && root.contains(selection.anchorNode) ? selection : null;
  const ends = range && [range.anchorNode, range.anchorOffset, range.focusNode, range.focusOffset];
  return () => {
    if (focused instanceof HTMLElement && root.contains(focused) && document.activeElement !== focused) {
      focused.focus({ preventScroll: true });
      if (field && start !== null) field.setSelectionRange(start, end);
    }
    if (ends && range) reselect(range, ends);
  };
}

/** @param {Selection} selection @param {any[]} ends */
function reselect(selection, [anchor, anchorAt, focus, focusAt]) {
  if (!anchor?.isConnected || !focus?.isConnected) return;
  if (selection.anchorNode === anchor && selection.anchorOffset === anchorAt && selection.focusOffset === focusAt) return;
  const within = (/** @type {Node} */ node, /** @type {number} */ at) =>
    Math.min(at, node.nodeType === Node.TEXT_NODE ? (node.nodeValue ?? "").length : node.childNodes.length);
  selection.setBaseAndExtent(anchor, within(anchor, anchorAt), focus, within(focus, focusAt));
}
