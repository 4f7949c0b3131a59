// @ts-check
// What a message does to the page. While the tab is hidden only the newest of each panel is kept.

import { setClock, setFresh, tick } from "./clock.js";
import { morph } from "./morph.js";

/**
 * @typedef {{type: "panel", id: string, seq: number, html: string, at: string | null}} PanelMessage
 * @typedef {{type: "beat", seq: number, market_at: string | null, wall_at: string, speed: number, state: string,
 *   data_at?: string | null}} BeatMessage
 * @typedef {{type: "alert", seq: number, level: "info" | "warning" | "critical", title: string, detail?: string}} AlertMessage
 */

/** @type {Map<string, PanelMessage>} */
const waiting = new Map();
const KEPT_ALERTS = 3;

/** @param {PanelMessage | BeatMessage | AlertMessage} message */
export function apply(message) {
  if (message.type === "panel") {
    if (document.hidden) waiting.set(message.id, message);
    else showPanel(message);
  } else if (message.type === "beat") {
    setClock(message);
    setFresh(message.data_at ?? message.wall_at);
  } else if (message.type === "alert") showAlert(message);
}

/** Show what came while nobody looked. */
export function catchUp() {
  const messages = [...waiting.values()];
  waiting.clear();
  messages.forEach(showPanel);
}

/** @param {PanelMessage} message */
function showPanel({ id, html, at }) {
  const panel = document.getElementById(id);
  if (!panel) return;
  morph(panel, html);
  tick(panel);
  if (at) setFresh(at);
  if (id === "state") showState(panel);
}

/** Title and favicon follow the state. @param {HTMLElement} panel */
function showState(panel) {
  const page = document.title.slice(document.title.lastIndexOf("–"));
  document.title = `${(panel.dataset.title ?? "").trim()} ${page}`;
  const link = /** @type {HTMLLinkElement | null} */ (document.querySelector("link[data-favicon]"));
  const href = link?.dataset[panel.dataset.faviconState ?? "unknown"];
  if (link && href) link.setAttribute("href", href);
}

/** The region is role="alert": its text is read out once, when it comes. @param {AlertMessage} message */
function showAlert({ level, title, detail }) {
  const region = document.getElementById("alarm");
  if (!region || level === "info") return;
  const line = document.createElement("div");
  line.className = `banner ${level === "critical" ? "crit" : "warn"}`;
  const words = document.createElement("p");
  const strong = document.createElement("strong");
  strong.textContent = title;
  words.append(strong, detail ? ` ${detail}` : "");
  const close = document.createElement("button");
  Object.assign(close, { type: "button", className: "btn", textContent: "Dismiss" });
  close.addEventListener("click", () => line.remove());
  line.append(words, close);
  region.append(line);
  while (region.childElementCount > KEPT_ALERTS) region.firstElementChild?.remove();
}
