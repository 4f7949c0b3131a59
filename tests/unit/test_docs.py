"""What the docs say can be typed, found and followed."""

from __future__ import annotations

import re
from functools import cache

import pytest
from django.core.management import CommandError

from tests.docs_reader import (
    DOCS,
    PAGES,
    README,
    ROOT,
    anchors,
    blocks,
    codes,
    headings,
    links,
    name_of,
    prose,
)
from tests.docs_shell import ASSIGNMENT, parse_shell, settings_names

every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)
LANGUAGES = {"bash", "ini", "python", "text"}
CAPITALS = re.compile(r"^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$")
FOLDERS = ("benchmarks/", "docs/", "execution/", "market/", "mlfilter/", "ops/", "simulator/", "strategies/")
FOLDERS += ("templates/", "tests/", "tradingsite/", "static/")
TO_BE_WRITTEN = {"strategies/estimators/new_high.py"}  # by who follows the example
SHELL_LINES = [
    pytest.param(line, id=f"{name_of(block.page)}: {line[:60]}")
    for page in PAGES
    for block in blocks(page, "bash")
    for line in block.lines
]
# The field's words, which the glossary has to have.
FIELD_WORDS = {
    *("ask", "bar", "bid", "close", "drawdown", "equity", "exposure", "fee", "fill", "high", "leverage", "lot_size"),
    *("low", "mid", "notional", "open", "order", "pnl", "position", "quantity", "reconcile", "side", "slippage"),
    *("spread", "tick_size", "time_in_force", "volume"),
    *("embargo", "fit", "fold", "label", "predict", "purge", "score", "transform"),
}


@cache
def code() -> str:
    """Return everything that is written in our code and its settings."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return "\n".join(path.read_text() for path in [*found, ROOT / "Makefile", ROOT / ".env.example"])


@pytest.mark.parametrize("line", SHELL_LINES)
def test_every_command_of_the_docs_can_be_typed(line):
    parse_shell(line)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("manage.py trade_stop", "no command trade_stop"),
        ("manage.py trade_kill --now", "unrecognized arguments: --now"),
        ("make start", "start"),
        ('make up ARGS="--repeat x"', "--repeat"),
        ("STATE_DIRECTORY=x make up", "no setting STATE_DIRECTORY"),
        ("manage.py trade_kill --timeout soon", "invalid float value"),
        ("wget x", "wget"),
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line, problem):
    with pytest.raises((AssertionError, CommandError), match=problem):
        parse_shell(line)


@every_page
def test_every_block_says_what_it_is(page):
    assert {block.language for block in blocks(page)} <= LANGUAGES


@every_page
def test_links_lead_somewhere(page):
    for link in links(page):
        target, _, anchor = link.partition("#")
        assert not target.startswith(("http:", "https:", "/")), link
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link


@every_page
def test_no_page_names_a_file_that_is_not_there(page):
    for word in codes(prose(page)):
        if word.startswith(FOLDERS) and word not in TO_BE_WRITTEN and not re.search(r"[<{*…]", word):
            assert (ROOT / word).exists(), word


@every_page
def test_every_name_in_capitals_is_in_the_code(page):
    names = {word for word in codes(prose(page)) if CAPITALS.match(word)}
    unknown = {name for name in names if not re.search(rf"\b{name}\b", code())}
    # A secret may be given as NAME_FILE, which the reader of secrets composes.
    assert {name for name in unknown if name.removesuffix("_FILE") not in settings_names()} == set()


@every_page
def test_settings_in_examples_exist(page):
    given = [match[1] for block in blocks(page, "ini") for line in block.lines if (match := ASSIGNMENT.match(line))]
    assert set(given) <= settings_names()


def test_every_page_of_the_docs_is_linked_from_the_readme():
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(README)}
    assert {page for page in PAGES if page != README} <= linked


def test_the_glossary_has_each_word_once_on_one_line_in_order():
    lines = [line for line in (DOCS / "glossary.md").read_text().splitlines() if line.startswith("- ")]
    entries = [re.fullmatch(r"- \*\*(.+?)\*\*: (\S.*)", line) for line in lines]
    assert all(entries)
    words = [entry[1] for entry in entries if entry]
    assert words == sorted(words, key=str.casefold)
    assert len(words) == len(set(words))
    assert set(words) >= FIELD_WORDS


@every_page
def test_a_bar_is_called_a_bar(page):
    assert not re.search(r"candle|ticker\b(?!s)|utili[sz]e", prose(page), re.IGNORECASE)


def test_the_contents_of_operations_are_its_headings():
    page = DOCS / "operations.md"
    before, _, rest = page.read_text().partition("\n## ")
    contents = re.findall(r"^- \[(.*)\]", before, re.MULTILINE)
    assert contents == [title for title in headings(page) if f"\n## {title}\n" in f"\n## {rest}"]


def test_what_can_be_extended_is_explained():
    page = DOCS / "extending.md"
    linked = [link.removeprefix("#") for link in links(page) if link.startswith("#")]
    assert linked == [heading.lower().replace(" ", "-") for heading in headings(page) if heading.startswith("A ")]
