"""Renders panels and pages as the site does, and reads what came out."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from django.template.loader import render_to_string
from django.test import RequestFactory

from tests.pages_builders import make_frame

PLAIN_SITE: dict[str, Any] = {  # settings under which templates render without collected files and without our views
    "ROOT_URLCONF": "tests.pages_builders",
    "STORAGES": {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}},
}


class Reader(HTMLParser):
    """Collects what a person reads, what scripts find, and how elements nest."""

    VOID = frozenset({"input", "link", "meta", "br", "hr", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.n_roots = 0
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.n_roots += not self.open
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    assert reader.open == [], f"never closed: {reader.open}"
    return reader


def render_panel(partial: str, panel: Any) -> str:
    """Render as the live consumer does: without a request."""
    return render_to_string(f"panels/_{partial}.html", {"panel": panel})


def render_page(template: str, context: dict[str, Any]) -> str:
    request = RequestFactory().get("/")
    return render_to_string(template, {"frame": make_frame()} | context, request=request)


def assert_says_no_nonsense(html: str) -> None:
    words = " ".join(read(html).text)
    found = re.findall(r"\b(None|nan|NaN|null|undefined|inf|Infinity|True|False)\b|\{\{|\{%", words)
    assert not found, f"{found} in {words}"
    assert not re.search(r"(?<![\w-])-\d", words), "a hyphen is not a minus"


def assert_tables_are_named(html: str) -> None:
    tables = re.findall(r"<table.*?</table>", html, flags=re.DOTALL)
    for table in tables:
        assert "<caption" in table
        for head in re.findall(r"<th\b[^>]*>", table):
            assert "scope=" in head, head
