"""A running desk as a person sees it in Chromium: logged in, with everything noted that must not happen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, expect

from tests.processes.running_desk import RunningDesk

DESKTOP, PHONE = (1440, 900), (390, 844)
PATIENCE_MS = 60_000  # a loaded machine with four worker processes
REFUSED_FORM = 422
LEFT_BEHIND = "net::ERR_ABORTED"
expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Complaints:
    """What a browser says when a page is not right: errors of scripts and policy, and requests that failed."""

    lines: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Take down everything that goes wrong on a page from now on."""
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.lines.append(f"script error: {error}"))
        page.on("requestfailed", self._on_failed)
        page.on("response", self._on_response)

    def _on_console(self, message: ConsoleMessage) -> None:
        # A refused form is an answer; that it has an error's status is noted by Chromium, and by us elsewhere.
        if message.type in ("error", "warning") and str(REFUSED_FORM) not in message.text:
            self.lines.append(f"console: {message.text}")

    def _on_failed(self, request: Request) -> None:
        # What was under way when the page was left, such as the icon of a new state, has not failed.
        if request.failure != LEFT_BEHIND:
            self.lines.append(f"failed: {request.url} ({request.failure})")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400 and response.status != REFUSED_FORM:
            self.lines.append(f"{response.status}: {response.url}")


@contextmanager
def logged_in(chromium: Browser, desk: RunningDesk, *, size: tuple[int, int] = DESKTOP) -> Iterator[Page]:
    """Open the desk's Overview as ``admin``, through the login form; whatever complaints there are fail the test."""
    width, height = size
    context = chromium.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(PATIENCE_MS)
    page, complaints = context.new_page(), Complaints()
    complaints.watch(page)
    page.goto(f"{desk.address}/")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(desk.password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{desk.address}/")
    yield page
    context.close()
    assert not complaints.lines, "\n".join(complaints.lines)


@contextmanager
def same_document(page: Page) -> Iterator[None]:
    """Fail unless what happens inside happens on the page as it is: neither loaded again nor asked for by polling."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/panels/" in request.url:
            asked.append(request.url)

    page.on("request", note)
    page.evaluate("window.stillTheSame = true")
    yield
    assert page.evaluate("window.stillTheSame") is True, "the page was loaded again"
    page.remove_listener("request", note)
    assert not asked, f"the socket did not bring it, polling did: {asked}"


def is_live(page: Page) -> None:
    """Wait until the page is fed by its socket."""
    expect(page.locator("html")).to_have_attribute("data-feed", "live")
    expect(page.locator("#feed-banner")).to_be_hidden()


def fits(page: Page) -> bool:
    """Return whether the page needs no scrolling sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))
