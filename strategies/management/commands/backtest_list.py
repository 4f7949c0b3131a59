"""List the backtests that were run."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ops.command import DeskCommand, Outcome
from strategies.backtesting.comparing import listed

HEADING = (
    "id",
    "engine",
    "source",
    "symbols",
    "begin",
    "end",
    "return",
    "Sharpe",
    "drawdown",
    "trials",
    "luck",
    "note",
)


class Command(DeskCommand):
    help = "List the backtests that were run, the newest first; figures are of all of each, after costs."
    examples = ("backtest_list", "backtest_list --symbol BTCUSD --limit 100 --json")
    schema = "backtest_list/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbol", action="append", default=[], metavar="S", help="only with this one; repeatable")
        parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many; default: 20")

    def run(self, **options: Any) -> Outcome:
        rows = listed(options["symbol"], limit=options["limit"])
        return Outcome(data={"backtests": rows}, text=_table(rows))


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "no backtests; `manage.py backtest_run` makes one"
    lines = [HEADING, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    metrics = row["metrics"]
    return (
        f"#{row['id']}",
        row["engine"],
        row["source"],
        ",".join(row["symbols"]),
        f"{row['begin']:%Y-%m-%d %H}",
        f"{row['end']:%Y-%m-%d %H}",
        _plain(metrics["total_return"], "+.2%"),
        _plain(metrics["sharpe"], "+.2f"),
        _plain(metrics["max_drawdown"], ".2%"),
        str(row["n_trials"]),
        _plain(row["luck"], ".0%"),
        row["note"],
    )


def _plain(value: float | None, spec: str) -> str:
    return "-" if value is None else format(value, spec)
