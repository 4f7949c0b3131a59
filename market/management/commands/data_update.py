"""Bring the stored bars up to date."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from market.models import from_ms
from market.updating import SourceUpdate, UpdateReport, update_all_data
from ops.command import DeskCommand, Outcome
from ops.progress import BarProgress


class Command(DeskCommand):
    """Ask MetaTrader 5 and Binance for the closed bars that are missing."""

    help = "Bring closed bars in from MetaTrader 5 and Binance: only what is missing. Exit 6 when one is not there."
    examples = ("data_update", "data_update --symbol BTCUSD --symbol ETHUSD --json")
    schema = "data_update/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbol", action="append", help="only this one; may be repeated (default: all traded)")

    def run(self, **options: Any) -> Outcome:
        with BarProgress() as progress:
            report = update_all_data(options["symbol"], progress=progress)
        return Outcome(
            data={"symbols": [_as_data(update) for update in report.updates], "unreachable": report.unreachable},
            text="\n".join(_as_line(update) for update in report.updates),
            exit_code=report.exit_code,
            warnings=tuple(_warnings(report)),
        )


def _as_data(update: SourceUpdate) -> dict[str, Any]:
    stored = update.stored
    return {
        "symbol": update.symbol,
        "source": update.source,
        "inserted": stored.inserted if stored else 0,
        "changed": stored.changed if stored else 0,
        "unchanged": stored.unchanged if stored else 0,
        "quarantined": stored.quarantined if stored else {},
        "revised": len(stored.differing) if stored else 0,
        "last_bar": None if update.newest_ms is None else from_ms(update.newest_ms),
        "bars_behind": update.bars_behind,
        "error": str(update.error) if update.error else None,
    }


def _as_line(update: SourceUpdate) -> str:
    if update.stored is None:
        return f"{update.symbol:<10} {update.source:<8} failed"
    stored = update.stored
    last = "no bar" if update.newest_ms is None else f"last bar {from_ms(update.newest_ms):%Y-%m-%d %H:%M}"
    return (
        f"{update.symbol:<10} {update.source:<8} {last}  {stored.inserted} new, {stored.changed} changed, "
        f"{stored.n_quarantined} quarantined"
    )


def _warnings(report: UpdateReport) -> list[str]:
    """Return one line for each failure, the same failure once."""
    lines = {f"{update.source}: {update.error}": update for update in report.failures}
    lines |= {
        f"{update.symbol} from {update.source} is stale: "
        + (
            "no bar came" if update.bars_behind is None else f"{update.bars_behind} closed bars are missing at the end"
        ): update
        for update in report.stale
    }
    return list(lines)
