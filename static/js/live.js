// @ts-check
// Keeps the page live: one WebSocket, endless back-off with jitter, polling after two failures, and a banner that says
// so. On connecting it says what it last saw; the server answers with every panel of the page and what was missed.

import { showFeed, startClock, tick } from "./clock.js";
import { apply, catchUp } from "./panels.js";

const FIRST_DELAY_S = 1;
const LONGEST_DELAY_S = 30;
const POLL_EVERY_S = 15;
const QUIET_FOR_S = 25; // five missed beats: a connection that says nothing is no connection
const BANNER_AFTER_S = 2; // a reconnect that takes less is nobody's business

/**
 * @param {number} attempt failures so far, at least 1
 * @param {number} [chance] in [0, 1)
 * @returns {number} seconds to wait: between half of 1, 2, 4 ... 30 and all of it
 */
export function backoff(attempt, chance = Math.random()) {
  return Math.min(FIRST_DELAY_S * 2 ** (attempt - 1), LONGEST_DELAY_S) * (0.5 + chance / 2);
}

const url = document.body?.dataset.live ?? "";
const feed = { seq: 0, failures: 0, heardAt: 0, lostAt: 0, retryAt: 0, pollAt: 0, polledAt: -Infinity };
/** @type {WebSocket | null} */
let socket = null;

const panelIds = () => [...document.querySelectorAll("[data-panel]")].map((panel) => panel.id);

/** @param {any} message */
function receive(message) {
  feed.heardAt = performance.now();
  if (message.seq > feed.seq) feed.seq = message.seq;
  apply(message);
}

function connect() {
  const address = new URL("/ws/live/", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const opened = new WebSocket(address);
  socket = opened;
  feed.retryAt = 0;
  opened.addEventListener("open", () => {
    opened.send(JSON.stringify({ after: feed.seq, page: document.body.dataset.page, panels: panelIds() }));
  });
  opened.addEventListener("message", (event) => {
    if (socket !== opened) return;
    Object.assign(feed, { failures: 0, lostAt: 0 });
    receive(JSON.parse(event.data));
  });
  opened.addEventListener("close", () => socket === opened && lost());
}

function lost() {
  socket = null;
  feed.failures += 1;
  feed.lostAt ||= performance.now();
  feed.retryAt = performance.now() + backoff(feed.failures) * 1000;
}

async function poll() {
  feed.pollAt = performance.now() + POLL_EVERY_S * 1000;
  const query = new URLSearchParams({ ids: panelIds().join(","), after: String(feed.seq), page: document.body.dataset.page ?? "" });
  try {
    const response = await fetch(`${url}?${query}`, { headers: { Accept: "application/json" } });
    if (response.redirected || response.status === 403) location.reload(); // logged out: the login page says so
    else if (response.ok) {
      (await response.json()).messages.forEach(receive);
      feed.polledAt = performance.now();
    }
  } catch {
    // The server is away: the banner says so, the next attempt is already set.
  }
}

function showBanner() {
  const banner = document.getElementById("feed-banner");
  if (!banner) return;
  const now = performance.now();
  banner.hidden = !feed.lostAt || now - feed.lostAt < BANNER_AFTER_S * 1000;
  if (banner.hidden) return;
  const word = document.getElementById("state")?.dataset.word ?? "unknown";
  const trading = ["armed", "blocked"].includes(word) ? "Trading continues on the server." : `Last known state: ${word}.`;
  const polling = now - feed.polledAt < 2 * POLL_EVERY_S * 1000;
  write(banner, "[data-words]", polling ? `Live feed lost: updating every ${POLL_EVERY_S} s. ${trading}` : `Live feed lost. ${trading}`);
  const left = Math.max(Math.ceil((feed.retryAt - now) / 1000), 0);
  write(banner, "[data-retry]", feed.retryAt ? `Reconnecting in ${left} s (attempt ${feed.failures}).` : "Reconnecting…");
}

/** @param {Element} banner @param {string} selector @param {string} text */
function write(banner, selector, text) {
  const element = banner.querySelector(selector);
  if (element && element.textContent !== text) element.textContent = text;
}

function everySecond() {
  const now = performance.now();
  if (socket && now - feed.heardAt > QUIET_FOR_S * 1000) {
    const silent = socket;
    lost();
    silent.close();
  }
  if (!socket && feed.retryAt && now >= feed.retryAt) connect();
  if (!socket && feed.failures >= 2 && now >= feed.pollAt && !document.hidden) void poll();
  if (document.hidden) return;
  showFeed(feed.heardAt);
  showBanner();
  tick();
}

function start() {
  feed.heardAt = performance.now();
  startClock();
  connect();
  setInterval(everySecond, 1000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    catchUp();
    everySecond();
  });
  document.querySelector("[data-retry-now]")?.addEventListener("click", () => {
    if (!socket) connect();
  });
  everySecond();
}

if (url) start();
