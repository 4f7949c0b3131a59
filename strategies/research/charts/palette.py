"""The colours of charts: those of ``static/css/tokens.css``, and series that can be told apart by everybody.

Figures are drawn with the light colour of each pair. The dark one takes its place where a page is dark, so no two light
ones may be the same. Series differ by at least 40 (CIE76) in every kind of colour vision; there are four of them and no
fifth, each with a dash of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Pair(NamedTuple):
    """One colour on light and on dark ground."""

    light: str
    dark: str


TOKENS: dict[str, Pair] = {
    "text": Pair("#14181f", "#e6eaf0"),
    "muted": Pair("#57606a", "#9aa5b1"),
    "line": Pair("#d9dde3", "#2b323c"),
    "sunken": Pair("#eceff3", "#0a0d11"),
    "gain": Pair("#0b5fb5", "#5db2ff"),
    "loss": Pair("#b3401a", "#ff9f5a"),
    "loss-fill": Pair("#d4733f", "#d4733f"),
    "crit": Pair("#b1122b", "#ff7b86"),
    "ok": Pair("#0f6b5c", "#4fd1b5"),
}
SERIES: tuple[Pair, ...] = (
    Pair("#45147b", "#2cf9b6"),
    Pair("#f74d9c", "#9d32fb"),
    Pair("#989127", "#f2b722"),
    Pair("#6572fc", "#3b8390"),
)
DASHES = ("solid", "dash", "dot", "dashdot")
SHADES: dict[str, Pair] = {
    "water": Pair("rgba(212,115,63,0.35)", "rgba(212,115,63,0.40)"),
    "wide": Pair("rgba(101,114,252,0.16)", "rgba(101,114,252,0.24)"),
    "narrow": Pair("rgba(101,114,252,0.28)", "rgba(101,114,252,0.38)"),
    "bars": Pair("#8791f5", "#5f6bd8"),
    # Numbers stand on these, so both ends leave text its contrast.
    "heat-low": Pair("#f0b08c", "#7d3f1c"),
    "heat-none": Pair("#fdfdfe", "#1c222b"),
    "heat-high": Pair("#9cc4ec", "#1c4f80"),
}


def ink(name: str) -> str:
    """Return a colour by its name, as figures are drawn with it."""
    return (TOKENS.get(name) or SHADES[name]).light


def series(place: int) -> str:
    """Return the colour of a series, counted from 0."""
    return SERIES[place].light


def dark_twins() -> dict[str, str]:
    """Return the dark colour of every light one."""
    return dict([*TOKENS.values(), *SERIES, *SHADES.values()])


def darkened(part: Any) -> Any:
    """Return a part of a figure, as JSON has it, with every colour of ours replaced by its dark twin."""
    twins = dark_twins()
    if isinstance(part, dict):
        return {name: darkened(value) for name, value in part.items()}
    if isinstance(part, list):
        return [darkened(value) for value in part]
    return twins.get(part, part) if isinstance(part, str) else part
