"""Look for setups and say what the filter thinks of them."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from mlfilter.models import BotSymbol, Setup
from mlfilter.scanning import preview, scan, watched_symbol
from ops import clock
from ops.command import DeskCommand, Outcome
from ops.errors import DeskError, ExitCode

FIELDS = (
    "symbol broker interval bar_at direction entry stop target signals context confidence threshold similar approved "
    "reasons shadows"
)


class Command(DeskCommand):
    """It trades nothing; a range is judged and not stored."""

    help = (
        "Store and judge the setups of the newest closed bar, with the reasons of the decision; with --since those of "
        "a range, which are not stored. It never trades."
    )
    examples = ("setup_scan", "setup_scan --symbol ETHUSDT --since 2026-04-01 --until 2026-04-08 --json")
    schema = "setup_scan/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbol", action="append", default=[], help="only this one; may be given again")
        parser.add_argument("--since", type=_moment, help="setups of bars from here on, like 2026-04-01T12:00 (UTC)")
        parser.add_argument("--until", type=_moment, help="and of bars that end by then (default: market time)")

    def run(self, **options: Any) -> Outcome:
        now = clock.market_now() if options["since"] is None else None  # a range needs no market that runs
        symbols = _symbols(options["symbol"])
        found: list[Setup] = []
        failed: list[tuple[BotSymbol, DeskError]] = []
        for symbol in symbols:
            try:
                found += _setups(symbol, now, options)
            except DeskError as error:
                failed.append((symbol, error))
        return _outcome(symbols, found, failed, is_stored=options["since"] is None and not options["dry_run"])


def _symbols(names: list[str]) -> list[BotSymbol]:
    if names:
        return [watched_symbol(name) for name in dict.fromkeys(names)]
    return list(BotSymbol.objects.enabled())


def _setups(symbol: BotSymbol, now: datetime | None, options: dict[str, Any]) -> list[Setup]:
    since, until = options["since"], options["until"]
    if now is None:
        return list(preview(symbol, since=since, until=until))
    if options["dry_run"]:
        return list(preview(symbol, since=_newest(symbol, until or now), until=until or now))
    return list(scan(symbol, now=now))


def _newest(symbol: BotSymbol, until: datetime) -> datetime:
    from mlfilter.history import bar_length

    length = bar_length(symbol.interval)
    return datetime.fromtimestamp(until.timestamp() // length.total_seconds() * length.total_seconds(), UTC) - length


def _outcome(
    symbols: list[BotSymbol], found: list[Setup], failed: list[tuple[BotSymbol, DeskError]], *, is_stored: bool
) -> Outcome:
    data = {
        "symbols": [
            {"symbol": symbol.name, "broker": symbol.broker, "interval": symbol.interval} for symbol in symbols
        ],
        "setups": [{name: getattr(row, name) for name in FIELDS.split()} for row in found],
        "failed": [{"symbol": symbol.name, "error": str(error)} for symbol, error in failed],
        "stored": is_stored,
    }
    lines = [line for row in found for line in _lines(row)]
    lines += [f"{symbol} failed: {error}" for symbol, error in failed]
    n_approved = sum(row.approved for row in found)
    lines.append(f"{len(found)} setups of {len(symbols)} symbols, {n_approved} approved")
    code = ExitCode.DONE
    if failed:
        code = ExitCode.PARTLY if len(failed) < len(symbols) else failed[0][1].exit_code
    return Outcome(data=data, text="\n".join(lines), exit_code=code)


def _lines(row: Setup) -> list[str]:
    confidence = "none" if row.confidence is None else f"{row.confidence:.3f}"
    decision = "approved" if row.approved else "rejected"
    return [
        f"{row}  {decision}, confidence {confidence}  entry {row.entry:g}, stop {row.stop:g}, target {row.target:g}",
        *(f"  {reason}" for reason in row.reasons),
    ]


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"must be a time like 2026-04-01T12:00 (UTC) or with +02:00, was {text!r}") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
