"""One Chromium for all browser tests, and blank pages that load our scripts from the tree without a server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

STATIC = Path(__file__).parents[2] / "static"
ORIGIN = "http://desk.test"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium, or skip with the reason; under CI a missing one is a failure.

    It ends with this package's tests: while it runs its thread has a running event loop, in which Django refuses to
    use the database. That is also why all of them are in one group.
    """
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium on this machine: apt-get install chromium")
        pytest.skip("no chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


def serve_static(route: Route) -> None:
    """Answer a request for a static file from the tree."""
    path = STATIC / route.request.url.split("/static/")[1].split("?")[0]
    if path.is_file():
        route.fulfill(body=path.read_bytes(), content_type=TYPES[path.suffix])
    else:
        route.fulfill(status=404)


@pytest.fixture
def blank(chromium: Browser) -> Iterator[Page]:
    """Return an empty page of an origin that exists only here; an error in a script fails the test."""
    with blank_page(chromium) as page:
        yield page


@contextmanager
def blank_page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route(f"{ORIGIN}/static/**", serve_static)
    page.route(f"{ORIGIN}/", lambda route: route.fulfill(body="<!doctype html><body>", content_type="text/html"))
    page.goto(f"{ORIGIN}/")
    yield page
    context.close()
    assert errors == []
