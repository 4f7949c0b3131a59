// @ts-check
// Theme, palette, density and shortcuts, set before the first paint: a classic script in <head>, on purpose.
// The theme is stored as Django's admin stores it ("auto", "light", "dark"), so that one switch rules both.
"use strict";
(() => {
  /** @type {Record<string, string[]>} the first value of each is the default */
  const CHOICES = {
    theme: ["auto", "light", "dark"],
    palette: ["blue", "classic", "red-up"],
    density: ["regular", "compact"],
    keys: ["on", "off"],
  };
  const root = document.documentElement;

  /** @param {string} name */
  function stored(name) {
    let value = null;
    try {
      value = localStorage.getItem(name);
    } catch {
      // Storage is refused (private window): the defaults hold.
    }
    return value && CHOICES[name].includes(value) ? value : CHOICES[name][0];
  }

  function apply() {
    for (const name of Object.keys(CHOICES)) root.dataset[name] = stored(name);
    for (const button of document.querySelectorAll("button[data-set]")) {
      const { set = "", value = "" } = /** @type {HTMLElement} */ (button).dataset;
      button.setAttribute("aria-pressed", String(root.dataset[set] === value));
    }
  }

  /** @param {string} name @param {string} value */
  function choose(name, value) {
    try {
      localStorage.setItem(name, value);
      apply();
    } catch {
      root.dataset[name] = value;
    }
  }

  root.dataset.js = "on";
  apply();
  document.addEventListener("DOMContentLoaded", apply);
  window.addEventListener("storage", apply); // another tab changed it
  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target.closest("button[data-set]") : null;
    if (target instanceof HTMLElement) choose(target.dataset.set ?? "", target.dataset.value ?? "");
  });
  document.addEventListener("desk:theme", () => {
    const order = CHOICES.theme;
    choose("theme", order[(order.indexOf(root.dataset.theme ?? "auto") + 1) % order.length]);
  });
})();
