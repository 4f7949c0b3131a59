"""The pages of the docs as data: their fenced blocks, links, tables, sections and inline code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = (README, ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page."""

    page: Path
    language: str
    text: str

    @property
    def lines(self) -> list[str]:
        """Return its lines without comments, those that go on joined."""
        joined = self.text.replace("\\\n", " ")
        return [line.strip() for line in joined.splitlines() if line.strip() and not line.strip().startswith("#")]


def name_of(page: Path) -> str:
    """Return how a test calls a page."""
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str | None = None) -> list[Block]:
    """Return a page's fenced blocks, or those of one language."""
    found = [Block(page, *match) for match in FENCE.findall(page.read_text())]
    return [block for block in found if language in (None, block.language)]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


def links(page: Path) -> list[str]:
    """Return where a page's links lead."""
    return LINK.findall(CODE.sub("", prose(page)))


def headings(page: Path) -> list[str]:
    """Return a page's headings."""
    return [title for _, title in HEADING.findall(prose(page))]


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings get."""
    words = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings(page)]
    return {heading.strip().replace(" ", "-") for heading in words}


def section(page: Path, heading: str) -> str:
    """Return what stands under a heading, down to the next one of its level or above."""
    text = page.read_text()
    start = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert start, f"{name_of(page)} has no heading {heading!r}"
    rest = text[start.end() :]
    end = re.search(rf"^#{{1,{len(start[1])}}} ", FENCE.sub(lambda fence: " " * len(fence[0]), rest), re.MULTILINE)
    return rest[: end.start()] if end else rest


def subsections(page: Path) -> dict[str, str]:
    """Return a page's third-level headings with what stands under each."""
    return {title: section(page, title) for level, title in HEADING.findall(prose(page)) if level == "###"}


def table(text: str) -> list[list[str]]:
    """Return the rows of the first table, its heading left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines, f"there is no table in {text[:60]!r}"
    end = next((n for n, line in enumerate(text.splitlines()) if line.startswith("|")), 0)
    rows: list[str] = []
    for line in text.splitlines()[end:]:
        if not line.startswith("|"):
            break
        rows.append(line)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[2:]]


def codes(text: str) -> list[str]:
    """Return the inline code of a text."""
    return CODE.findall(text)


def first_codes(text: str) -> list[str]:
    """Return the inline code that each row of the first table begins with."""
    return [codes(row[0])[0] for row in table(text)]
