"""Bring the stored bars and outside readings up to date."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from market.models import from_ms
from market.outside_updating import OutsideReport, OutsideUpdate, update_outside
from market.updating import SourceUpdate, UpdateReport, update_all_data
from ops.command import DeskCommand, Outcome
from ops.errors import ExitCode
from ops.progress import BarProgress


class Command(DeskCommand):
    """Ask MetaTrader 5 and Binance for the closed bars that are missing, and every outside source for what is due."""

    help = (
        "Bring closed bars in from MetaTrader 5 and Binance, and funding, order books and sentiment after them: only "
        "what is missing. Exit 6 when MetaTrader or Binance is not there."
    )
    examples = ("data_update", "data_update --symbol BTCUSD --symbol ETHUSD --json")
    schema = "data_update/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbol", action="append", help="only this one; may be repeated (default: all traded)")

    def run(self, **options: Any) -> Outcome:
        with BarProgress() as progress:
            report = update_all_data(options["symbol"], progress=progress)
        outside = update_outside(options["symbol"])  # after the bars, which do not wait for it
        lines = [_as_line(update) for update in report.updates] + [_outside_line(update) for update in outside.updates]
        return Outcome(
            data={
                "symbols": [_as_data(update) for update in report.updates],
                "outside": outside.as_data(),
                "unreachable": report.unreachable,
            },
            text="\n".join(lines),
            exit_code=_exit_code(report, outside),
            warnings=tuple(_warnings(report, outside)),
        )


def _exit_code(report: UpdateReport, outside: OutsideReport) -> ExitCode:
    """Return how the bars' update ended; when only an outside source failed, it is partly done."""
    if report.exit_code in (ExitCode.UNREACHABLE, ExitCode.PARTLY):
        return report.exit_code
    return ExitCode.PARTLY if outside.failures else report.exit_code


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


def _outside_line(update: OutsideUpdate) -> str:
    what = f"{update.symbol or 'market':<10} {update.source:<10}"
    if update.error is not None:
        return f"{what} failed"
    last = "no reading" if update.newest_ms is None else f"last of {from_ms(update.newest_ms):%Y-%m-%d %H:%M}"
    return f"{what} {last}  {update.n_new} new"


def _warnings(report: UpdateReport, outside: OutsideReport) -> list[str]:
    """Return one line for each failure, the same failure once, with all sources that had it."""
    failures = [(update.source, str(update.error)) for update in report.failures]
    failures += [(update.source, str(update.error)) for update in outside.failures]
    failed: dict[str, list[str]] = {}
    for source, error in failures:
        failed.setdefault(error, []).append(source)
    lines = [f"{', '.join(dict.fromkeys(sources))}: {error}" for error, sources in failed.items()]
    lines += [
        f"{update.symbol} from {update.source} is stale: "
        + ("no bar came" if update.bars_behind is None else f"{update.bars_behind} closed bars are missing at the end")
        for update in report.stale
    ]
    return lines
