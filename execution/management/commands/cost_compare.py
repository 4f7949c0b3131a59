"""Assumed costs beside those that our own fills show."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from execution.learned_costs import compared
from market.symbols import chosen_symbols
from ops.command import DeskCommand, Outcome


class Command(DeskCommand):
    help = "Show the costs that backtests assume beside those that our own fills show, with how many tell."
    examples = ("cost_compare", "cost_compare --symbol BTCUSD --json")
    schema = "cost_compare/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbol", action="append", default=[], metavar="S", help="only this one; repeatable")

    def run(self, **options: Any) -> Outcome:
        rows = compared([symbol.name for symbol in chosen_symbols(options["symbol"])])
        return Outcome(data={"costs": rows}, text=_table(rows))


def _table(rows: list[dict[str, Any]]) -> str:
    heading = ("symbol", "rate", "assumed", "learned", "quartiles", "fills", "learned is used as")
    lines = [heading, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    quartiles = "-" if row["low"] is None else f"{_points(row['low'])} to {_points(row['high'])}"
    rates = (_points(row["assumed"]), _points(row["learned"]), quartiles)
    return (row["symbol"], row["name"], *rates, str(row["count"]), _points(row["used"]))


def _points(rate: float | None) -> str:
    """Return a rate in hundredths of a per cent."""
    return "-" if rate is None else f"{rate * 1e4:.2f} bp"
