"""Import bars from files."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from market.feeds.server_time import zone_of
from market.importing import ImportReport, import_file
from market.intervals import INTERVAL_MS
from market.models import from_ms
from market.symbols import get_symbol
from ops.command import DeskCommand, Outcome
from ops.errors import ExitCode
from ops.progress import BarProgress


class Command(DeskCommand):
    """Store the bars of files; what is wrong with them goes to quarantine, with its reason."""

    help = (
        "Store the bars of files: MetaTrader exports, Binance CSV, gz and zip in ms or µs, parquet. Bars that are "
        "stored with other values stay unless --replace is given; then it ends with 7."
    )
    examples = (
        "data_import BTCUSDT-1h-2025-01.zip --symbol BTCUSD",
        "data_import BTCUSD_H1.csv --symbol BTCUSD --tz GMT+2",
    )
    schema = "data_import/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="bars to store, in any known format")
        parser.add_argument("--symbol", required=True, help="whose bars they are, like BTCUSD")
        parser.add_argument(
            "--tz", type=zone_text, help="server clock of a MetaTrader file: GMT+2, a name, or '' (default: MT5_TZ)"
        )
        parser.add_argument("--interval", choices=tuple(INTERVAL_MS), help="length of a bar (default: read from it)")
        parser.add_argument("--replace", action="store_true", help="take the file's bars where stored ones differ")

    def run(self, **options: Any) -> Outcome:
        get_symbol(options["symbol"])  # before the first file is read
        reports = []
        with BarProgress() as progress:
            progress.start(len(options["files"]), "importing")
            for path in options["files"]:
                reports.append(
                    import_file(
                        path,
                        options["symbol"],
                        tz=options["tz"],
                        interval=options["interval"],
                        replace=options["replace"],
                        dry_run=options["dry_run"],
                    )
                )
                progress.advance(path.name)
        return _outcome(reports, replace=options["replace"], dry_run=options["dry_run"])


def zone_text(text: str) -> str:
    """Return a time zone as MT5_TZ is written."""
    try:
        zone_of(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return text


def _outcome(reports: list[ImportReport], *, replace: bool, dry_run: bool) -> Outcome:
    kept = sum(len(report.stored.differing) for report in reports) if not replace else 0
    lines = [_as_line(report) for report in reports]
    return Outcome(
        data={"files": [_as_data(report) for report in reports], "dry_run": dry_run},
        text="\n".join([*lines, "nothing was stored: this was a dry run"] if dry_run else lines),
        exit_code=ExitCode.PARTLY if kept else ExitCode.DONE,
        warnings=tuple(warning for report in reports for warning in _warnings(report, replace=replace)),
    )


def _as_data(report: ImportReport) -> dict[str, Any]:
    stored = report.stored
    return {
        "file": report.file,
        "format": report.format,
        "symbol": report.symbol,
        "table": report.table,
        "interval": report.interval,
        "rows": report.n_rows,
        "inserted": stored.inserted,
        "changed": stored.changed,
        "unchanged": stored.unchanged,
        "quarantined": stored.quarantined,
        "unreadable": report.n_unreadable,
        "differing": [from_ms(open_ms) for open_ms in stored.differing],
        "first_bar": from_ms(report.first_ms),
        "last_bar": from_ms(report.last_ms),
    }


def _as_line(report: ImportReport) -> str:
    stored = report.stored
    return (
        f"{Path(report.file).name}: {report.format}, {report.n_rows} {report.interval} bars of {report.symbol}, "
        f"{from_ms(report.first_ms):%Y-%m-%d %H:%M} .. {from_ms(report.last_ms):%Y-%m-%d %H:%M}: "
        f"{stored.inserted} new, {stored.changed} changed, {stored.unchanged} unchanged, "
        f"{stored.n_quarantined + report.n_unreadable} quarantined"
    )


def _warnings(report: ImportReport, *, replace: bool) -> list[str]:
    name, stored = Path(report.file).name, report.stored
    lines = [f"{name}: {count} rows quarantined: {reason}" for reason, count in stored.quarantined.items()]
    if report.n_unreadable:
        lines.append(f"{name}: {report.n_unreadable} rows quarantined: a time or number that is none")
    if stored.differing and not replace:
        first = from_ms(stored.differing[0])
        lines.append(
            f"{name}: {len(stored.differing)} bars are stored with other values, first {first:%Y-%m-%d %H:%M}; the "
            "stored ones stay; --replace takes the file's"
        )
    return lines
