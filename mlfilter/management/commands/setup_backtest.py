"""Try the filter on history, walk-forward, beside taking every setup."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from mlfilter.backtesting import Request, Tested, run_setup_backtest
from mlfilter.models import BotSymbol, current_settings
from mlfilter.models.symbols import INTERVALS
from mlfilter.recognizers import RECOGNIZERS
from ops.command import DeskCommand, Outcome, command_actor

USUAL_SYMBOL = "ETHUSDT"
FIGURES = (
    ("trades", "trades", "{:d}"),
    ("won", "win_rate", "{:.1%}"),
    ("average win", "avg_win", "{:+.2f}"),
    ("average loss", "avg_loss", "{:+.2f}"),
    ("profit factor", "profit_factor", "{:.2f}"),
    ("expectancy in R", "expectancy_r", "{:+.3f}"),
    ("Sharpe (365 d)", "sharpe", "{:+.2f}"),
    ("maximum drawdown", "max_drawdown", "{:.1%}"),
    ("total return", "total_return", "{:+.1%}"),
    ("exposure", "exposure", "{:.1%}"),
)


class Command(DeskCommand):
    """Every model is trained on what was known before the bars that it judges."""

    help = (
        "Trade the setups of past bars with the filter and without it, costs included. Walk-forward: the model that "
        "judges a bar was trained only on outcomes known before it."
    )
    examples = (
        "setup_backtest --symbol ETHUSDT --days 730",
        "setup_backtest --file ETHUSDT_15m.parquet --threshold 0.55 --json",
    )
    schema = "setup_backtest/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbol", help=f"whose klines (default: the bot's first symbol, or {USUAL_SYMBOL})")
        parser.add_argument("--days", type=_at_least_one, default=730, help="the newest so many (default: 730)")
        parser.add_argument("--file", type=Path, help="read klines from it in place of the stored ones")
        parser.add_argument("--interval", choices=INTERVALS, help="length of a bar (default: the symbol's)")
        parser.add_argument("--recognizer", choices=tuple(RECOGNIZERS), help="in place of the settings'")
        parser.add_argument("--threshold", type=_probability, help="in place of the settings'")

    def run(self, **options: Any) -> Outcome:
        tested = run_setup_backtest(_request(options), actor=command_actor(), keep=not options["dry_run"])
        return Outcome(data=tested.as_data(), text="\n".join(_lines(tested)))


def _request(options: dict[str, Any]) -> Request:
    name = options["symbol"]
    rows = list(BotSymbol.objects.enabled())
    mine = [row for row in rows if name in (None, row.name, row.data_symbol)]
    usual = mine[0].interval if mine else current_settings().interval
    changed = {"model": options["recognizer"], "threshold": options["threshold"]}
    return Request(
        symbol=(mine[0].data_symbol if mine else None) or name or USUAL_SYMBOL,
        interval=options["interval"] or usual,
        days=options["days"],
        file=options["file"],
        changed={key: value for key, value in changed.items() if value is not None},
    )


def _lines(tested: Tested) -> list[str]:
    row = tested.row
    auc = "none" if row.auc is None else f"{row.auc:.3f}"
    ours, theirs = row.with_filter, row.without_filter
    return [
        f"{row.symbol} {row.interval}  {row.n_bars} bars from {row.since:%Y-%m-%d} to {row.until:%Y-%m-%d}, "
        f"{len(row.report['windows'])} models, AUC {auc}, {row.seconds:.1f} s",
        f"{'':18}{'with filter':>14}{'every setup':>14}",
        *(f"{name:18}{_cell(ours[key], form):>14}{_cell(theirs[key], form):>14}" for name, key, form in FIGURES),
        *row.report["words"],
    ]


def _cell(value: Any, form: str) -> str:
    return "none" if value is None else form.format(value)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"must be a whole number of at least 1, was {text!r}")
    return int(text)


def _probability(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise ArgumentTypeError(f"must be within 0..1, was {text!r}")
    return value
