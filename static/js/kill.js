// @ts-check
// Opens the native dialog that an element names in data-dialog instead of following it. Without this script the kill
// form leads to its confirmation page and the resume button posts. Closing returns the focus (the browser does it).

/** @param {Event} event @param {string | undefined} id @returns {boolean} whether there is such a dialog */
function open(event, id) {
  const dialog = id ? document.getElementById(id) : null;
  if (!(dialog instanceof HTMLDialogElement)) return false;
  event.preventDefault();
  if (!dialog.open) dialog.showModal();
  return true;
}

document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const opener = event.submitter?.dataset.dialog ?? form.dataset.dialog;
  if (open(event, opener)) return;
  // A second click on the same button must not send twice.
  const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
  if (button && form.method === "post") setTimeout(() => (button.disabled = true));
});

document.addEventListener("click", (event) => {
  const target = event.target;
  if (!(target instanceof Element)) return;
  if (target.closest("[data-close]")) target.closest("dialog")?.close();
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(target)) menu.removeAttribute("open");
  }
});

window.addEventListener("pageshow", (event) => {
  // Back from the cache: what was disabled while it was sent must work again.
  if (event.persisted) location.reload();
});
