"""Two to four backtests side by side."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from ops.command import DeskCommand, Outcome
from strategies.backtesting.comparing import compare

WIDTH = 48  # of what differs; longer values are cut, --json has them whole


class Command(DeskCommand):
    help = "Show two to four backtests side by side: their figures, costs, and what differs in what they were asked."
    examples = ("backtest_compare 12 15", "backtest_compare 12 15 16 --json")
    schema = "backtest_compare/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, nargs="+", help="as backtest_list shows it")

    def run(self, **options: Any) -> Outcome:
        compared = compare(options["id"])
        return Outcome(data=compared, text=_text(compared))


def _text(compared: dict[str, Any]) -> str:
    heading = ["", *(f"#{row['id']} {row['engine']} {row['source']}" for row in compared["backtests"])]
    rows = [heading]
    for title in ("metrics", "out_of_sample", "costs", "differs"):
        rows.append([f"-- {title.replace('_', ' ')}", *[""] * (len(heading) - 1)])
        rows += [[name, *map(_cell, values)] for name, values in compared[title].items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
