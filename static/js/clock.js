// @ts-check
// Lets times tick between messages: the market's clock, countdowns (data-until, market time) and ages (data-age, real
// time). The server's times count, carried on by this machine's monotonic clock: a wrong wall clock does no harm.

/** Seconds without a message until the feed is delayed, the state unknown, the numbers stale. */
export const DELAYED_S = 15;
export const LOST_S = 20;
export const STALE_S = 60;

const NBSP = "\u00a0";

/** What the server last said, and when (ms of performance.now) it arrived here. */
const anchor = { market: NaN, wall: NaN, speed: 1, heard: 0 };

/** @param {number | null} s seconds @returns {string} the same steps as `ago` in templatetags/desk.py */
export function ago(s) {
  if (s === null || Number.isNaN(s)) return "—";
  const age = Math.max(s, 0);
  if (age < 9.95) return `${age.toFixed(1)}${NBSP}s`;
  if (age < 90) return `${Math.floor(age)}${NBSP}s`;
  if (age < 5400) return `${Math.floor(age / 60)}${NBSP}min`;
  return age < 172800 ? `${Math.floor(age / 3600)}${NBSP}h` : `${Math.floor(age / 86400)}${NBSP}d`;
}

/** @param {number} s seconds @returns {string} the same steps as `countdown` in templatetags/desk.py */
export function countdown(s) {
  if (Number.isNaN(s)) return "—";
  const left = Math.floor(Math.max(s, 0));
  const [hours, minutes, seconds] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  if (hours >= 48) return `${Math.floor(hours / 24)}${NBSP}d ${hours % 24}${NBSP}h`;
  const tail = String(seconds).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** @param {number} idle seconds since the last message @returns {"live" | "delayed" | "lost" | "stale"} */
export function feedState(idle) {
  if (idle < DELAYED_S) return "live";
  return idle < LOST_S ? "delayed" : idle < STALE_S ? "lost" : "stale";
}

/** @param {string} text ISO time @returns {number} seconds, NaN when empty */
const seconds = (text) => Date.parse(text) / 1000;
const sinceHeard = () => (performance.now() - anchor.heard) / 1000;
const wallNow = () => anchor.wall + sinceHeard();
const marketNow = () => anchor.market + sinceHeard() * anchor.speed;

/**
 * Take over the server's clock.
 * @param {{market_at: string | null, wall_at: string, speed: number}} beat
 * @param {number} [heard] ms of performance.now at which it arrived
 */
export function setClock(beat, heard = performance.now()) {
  Object.assign(anchor, { market: seconds(beat.market_at ?? ""), wall: seconds(beat.wall_at), speed: beat.speed, heard });
}

/** Remember the newest time at which the account was read. @param {string} at */
export function setFresh(at) {
  for (const time of document.querySelectorAll("time[data-fresh]")) {
    const element = /** @type {HTMLTimeElement} */ (time);
    if (!element.dateTime || seconds(at) > seconds(element.dateTime)) element.dateTime = at;
  }
}

/** @param {Element} element @param {string} text written only when it differs, so that a selection stays */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {HTMLTimeElement} time */
function tickAge(time) {
  const age = wallNow() - seconds(time.dateTime);
  write(time, ago(age));
  const limit = Number(time.dataset.staleAfter);
  const panel = /** @type {HTMLElement | null} */ (limit ? time.closest("[data-panel]") : null);
  // A panel may have been rendered stale: it turns fresh by a new render only, never by ticking.
  if (panel && age > limit) panel.dataset.state = "stale";
}

/** Write every ticking number below `root` anew. @param {ParentNode} [root] */
export function tick(root = document) {
  for (const time of root.querySelectorAll("time[data-age]")) tickAge(/** @type {HTMLTimeElement} */ (time));
  for (const time of root.querySelectorAll("time[data-until]")) {
    write(time, countdown(seconds(/** @type {HTMLTimeElement} */ (time).dateTime) - marketNow()));
  }
  const now = marketNow();
  for (const time of root.querySelectorAll("time[data-clock]")) {
    write(time, Number.isNaN(now) ? "—" : new Date(now * 1000).toISOString().slice(11, 19));
  }
}

/**
 * Say how the feed is doing; the word beside the age also counts how old the account's data is.
 * @param {number} heardAt ms of performance.now of the last message
 */
export function showFeed(heardAt) {
  const idle = (performance.now() - heardAt) / 1000;
  document.documentElement.dataset.feed = feedState(idle);
  const fresh = /** @type {HTMLTimeElement | null} */ (document.querySelector("time[data-fresh]"));
  const age = fresh?.dateTime ? wallNow() - seconds(fresh.dateTime) : Infinity;
  const word = feedState(Math.max(idle, age));
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-feed-word]"))) {
    element.dataset.feedWord = word;
    write(element, word === "lost" ? "delayed" : word);
  }
}

/** Start from what the page says. */
export function startClock() {
  const time = /** @type {HTMLTimeElement | null} */ (document.querySelector("time[data-clock]"));
  if (!time) return;
  const [entry] = performance.getEntriesByType("navigation");
  const heard = /** @type {PerformanceNavigationTiming | undefined} */ (entry)?.responseStart ?? performance.now();
  setClock({ market_at: time.dateTime, wall_at: time.dataset.wall ?? "", speed: Number(time.dataset.speed) }, heard);
}
