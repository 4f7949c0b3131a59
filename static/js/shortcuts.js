// @ts-check
// One-key shortcuts, listed by "?". They act outside fields only and can be switched off (Display); Shift+K and
// Shift+P only press the buttons that are on the page, so that they can do no more than the person may.

const SECOND_KEY_MS = 1500;
let goAt = -Infinity;

/** @param {KeyboardEvent} event @returns {boolean} */
function isTyping(event) {
  const target = event.target;
  return target instanceof Element && target.closest("input, textarea, select, [contenteditable], dialog") !== null;
}

/** @param {string} selector @returns {boolean} whether there was something to press */
function press(selector) {
  const element = /** @type {HTMLElement | null} */ (document.querySelector(selector));
  element?.click();
  return element !== null;
}

function showKeys() {
  const dialog = document.getElementById("keys-dialog");
  if (dialog instanceof HTMLDialogElement && !dialog.open) dialog.showModal();
}

/** @param {string} key @returns {boolean} whether the key did something */
function act(key) {
  if (performance.now() - goAt < SECOND_KEY_MS) {
    goAt = -Infinity;
    return /^[a-z]$/.test(key) && press(`.rail a[data-key="${key}"]`);
  }
  if (key === "g") goAt = performance.now();
  else if (key === "?") showKeys();
  else if (key === "t") document.dispatchEvent(new CustomEvent("desk:theme"));
  else if (key === "P") return press('button[data-shortcut="pause"]');
  else if (key === "K") return press(".top .btn.kill");
  else return false;
  return true;
}

document.addEventListener("keydown", (event) => {
  const off = document.documentElement.dataset.keys === "off" && event.key !== "K";
  if (off || event.ctrlKey || event.metaKey || event.altKey || event.repeat || isTyping(event)) return;
  if (act(event.key)) event.preventDefault();
});
