"""Show which bars and outside readings are stored."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from market.outside_reading import OutsideStatus, outside_status
from market.status import SeriesStatus, data_status, known_now_ms
from ops.command import DeskCommand, Outcome
from ops.errors import ExitCode


class Command(DeskCommand):
    """Show how many bars and outside readings are stored, from when to when, and how far they are behind."""

    help = (
        "Show which bars and which outside readings are stored and how fresh they are. Exit 5 when a series of bars is "
        "empty or stale."
    )
    examples = ("data_status", "data_status --symbol BTCUSD --json")
    schema = "data_status/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbol", action="append", help="only this one; may be repeated (default: all traded)")

    def run(self, **options: Any) -> Outcome:
        series = data_status(options["symbol"])
        outside = outside_status(options["symbol"], now_ms=known_now_ms())
        wanting = [one for one in series if one.is_empty or one.is_stale]
        warnings = [f"{one.name} {one.table}: {_state(one)}; run `manage.py data_update`" for one in wanting]
        warnings += [f"{one.symbol or 'market'} {one.source}: {one.state}" for one in outside if one.state != "ok"]
        return Outcome(
            data={
                "series": [asdict(one) | {"state": _state(one)} for one in series],
                "outside": [asdict(one) | {"state": one.state} for one in outside],
            },
            text="\n".join([_as_line(one) for one in series] + [_outside_line(one) for one in outside]),
            exit_code=ExitCode.DATA if wanting else ExitCode.DONE,
            warnings=tuple(warnings),
        )


def _state(series: SeriesStatus) -> str:
    if series.is_empty:
        return "empty"
    return f"stale, {series.bars_behind} bars behind" if series.is_stale else "ok"


def _as_line(series: SeriesStatus) -> str:
    span = "" if series.is_empty else f"{series.first_at:%Y-%m-%d %H:%M} .. {series.last_at:%Y-%m-%d %H:%M}"
    return (
        f"{series.name:<10} {series.table:<7} {series.interval:<4} {series.n_bars:>8} bars  {span}  {_state(series)}, "
        f"{series.n_quarantined} quarantined"
    )


def _outside_line(one: OutsideStatus) -> str:
    span = f"{one.first_at:%Y-%m-%d %H:%M} .. {one.last_at:%Y-%m-%d %H:%M}" if one.first_at and one.last_at else ""
    return f"{one.symbol or 'market':<10} {one.source:<12} {one.n_readings:>8} readings  {span}  {one.state}"
