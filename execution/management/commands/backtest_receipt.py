"""Replay a day that was lived, and say of every trade whether it comes out the same."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import date
from typing import Any

from execution.receipts import TOLERANCE, Compared, Receipt, make_receipt
from ops.command import DeskCommand, Outcome
from ops.errors import ExitCode
from ops.progress import BarProgress


class Command(DeskCommand):
    help = "Replay a day's sessions and label each trade same, price gap, missed or extra. Exit 3 when any differs."
    examples = ("backtest_receipt --day 2026-01-06", "backtest_receipt --day 2026-01-06 --tolerance 0.002 --json")
    schema = "backtest_receipt/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--day", required=True, type=_day, metavar="D", help="UTC, like 2026-01-06")
        parser.add_argument(
            "--tolerance",
            type=float,
            default=TOLERANCE,
            metavar="X",
            help=f"how far apart prices may be, a fraction; default: {TOLERANCE}",
        )

    def run(self, **options: Any) -> Outcome:
        with BarProgress() as progress:
            receipt = make_receipt(options["day"], progress=progress, tolerance=options["tolerance"])
        code = ExitCode.DONE if receipt.is_same else ExitCode.FOUND
        return Outcome(data=receipt.as_data(), text=_text(receipt), exit_code=code, warnings=receipt.warnings)


def _text(receipt: Receipt) -> str:
    counts = ", ".join(f"{count} {label}" for label, count in receipt.counts.items())
    summary = f"{receipt.begin:%Y-%m-%d %H:%M} to {receipt.end:%H:%M}: {len(receipt.trades)} trades, {counts}"
    return "\n".join([*map(_line, receipt.trades), summary])


def _line(trade: Compared) -> str:
    prices = f"at {_price(trade.price)}, replayed at {_price(trade.replayed_price)}"
    gap = "" if trade.gap is None else f" ({float(trade.gap) * 1e4:+.2f} bp)"
    return f"{trade.slot} {trade.symbol} {trade.side} {trade.volume.normalize():f} {prices}{gap}  {trade.label}"


def _price(price: Any) -> str:
    return "none" if price is None else f"{float(price):.6g}"


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no day: use ISO 8601 like 2026-01-06") from None
