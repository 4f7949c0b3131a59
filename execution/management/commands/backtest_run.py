"""Backtest the active models or the plan on stored bars."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from execution.backtest_requests import COSTS, BacktestOptions
from execution.backtesting import ENGINES, describe_backtest, run_backtest
from execution.research_jobs import enqueue_backtest
from execution.sessions.slots import floor_hour
from ops.command import DeskCommand, Outcome, command_actor
from ops.progress import BarProgress
from strategies.backtesting.keeping import as_document
from strategies.models import Backtest

RATES = {
    "spread": "ask less bid, a fraction of price",
    "slippage": "how much worse than bid or ask a fill is, a fraction of price",
    "commission": "fraction of what is traded, a side",
    "swap-long": "fraction of a long position's worth a year; negative is paid",
    "swap-short": "the same of a short one",
}


class Command(DeskCommand):
    help = "Backtest the active models, or the plan fitted again and again, on stored bars; every run is kept."
    examples = (
        "backtest_run --begin 2026-01-01 --end 2026-04-01 --source plan",
        "backtest_run --symbol BTCUSD --begin 2026-03-01 --end 2026-03-08 --engine replay --json",
    )
    schema = "backtest_run/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbol", action="append", default=[], metavar="S", help="only this one; repeatable")
        parser.add_argument("--begin", required=True, type=_hour, metavar="T", help="first slot's hour, UTC")
        parser.add_argument("--end", required=True, type=_hour, metavar="T", help="hour after the last slot's, UTC")
        parser.add_argument("--engine", choices=[str(e) for e in ENGINES], default="fast", help="default: fast")
        parser.add_argument("--source", choices=Backtest.Source.values, default="active", help="default: active")
        parser.add_argument(
            "--refit-hours", type=int, default=720, metavar="N", help="with --source plan: hours between two fits"
        )
        parser.add_argument("--windowed", action="store_true", help="ask models as a session does, slot by slot; slow")
        parser.add_argument("--capital", type=float, metavar="X", help="what the account begins with")
        parser.add_argument(
            "--sizing-capital", type=float, metavar="X", help="what positions are sized from; default: the settings'"
        )
        for name, what in RATES.items():
            parser.add_argument(f"--{name}", type=float, metavar="X", help=what)
        parser.add_argument("--costs", choices=COSTS, default="assumed", help="learned: from our own fills")
        parser.add_argument("--note", default="", help="why, kept with the result")
        parser.add_argument("--queue", action="store_true", help="let the research queue run it, see job_list")

    def run(self, **options: Any) -> Outcome:
        names = {field.name for field in fields(BacktestOptions)}
        wanted = BacktestOptions(symbols=options["symbol"], **{name: options[name] for name in names & set(options)})
        if options["dry_run"]:
            return _would_run(describe_backtest(wanted))
        if options["queue"]:
            run = enqueue_backtest(wanted, actor=command_actor())
            return Outcome(data={"run_id": run.pk, "status": run.status}, text=f"queued as run {run.pk}")
        with BarProgress() as progress:
            row = run_backtest(wanted, actor=command_actor(), progress=progress)
        data = as_document(row)
        return Outcome(data=data, text="\n".join(_lines(data)), warnings=tuple(row.warnings))


def _would_run(planned: dict[str, Any]) -> Outcome:
    request = planned["request"]
    symbols = ", ".join(request["symbols"])
    period = f"{request['begin'][:16]} to {request['end'][:16]}, {planned['slots']} slots"
    return Outcome(data=planned, text=f"would run {planned['engine']} on {symbols} from {period}; nothing was changed")


def _lines(data: dict[str, Any]) -> list[str]:
    same = f", same as #{data['same_as']}" if data["same_as"] else ""
    lines = [
        f"#{data['id']} {data['engine']} {data['source']} {', '.join(data['symbols'])} "
        f"{data['begin']:%Y-%m-%d %H:%M} to {data['end']:%Y-%m-%d %H:%M}{same}",
        f"all            {figures_text(data['metrics'])}",
    ]
    for name, title in (("in_sample", "in sample"), ("out_of_sample", "out of sample")):
        part = data["samples"][name]
        lines.append(f"{title:15}{figures_text(part) if part else 'nothing'}")
    metrics = data["metrics"]
    lines.append(
        f"traded         {metrics['trades']} trades, {metrics['fills']} fills, {metrics['turnover']:.2f} a day"
    )
    lines.append(f"costs          {', '.join(f'{name} {paid:.2f}' for name, paid in data['costs'].items())}")
    lines += [
        f"window drift   {one['symbol']} at most {one['max_abs_diff']:.4f}, mean {one['mean_abs_diff']:.4f}, "
        f"correlation {_plain(one['correlation'], '.4f')} over {one['n_slots']} slots"
        for one in data["drift"]
    ]
    lines.append(f"trials         {data['n_trials']} on this sample, luck {_plain(data['luck'], '.1%')}")
    return [*lines, f"{data['seconds']:.1f} s"]


def figures_text(metrics: dict[str, Any]) -> str:
    """Return the figures that are looked at first, in a line."""
    return (
        f"return {_plain(metrics['total_return'], '+.2%')}, Sharpe (365 d) {_plain(metrics['sharpe'], '+.2f')}, "
        f"max drawdown {_plain(metrics['max_drawdown'], '.2%')}, "
        f"volatility {_plain(metrics['volatility'], '.2%')} a year"
    )


def _plain(value: float | None, spec: str) -> str:
    return "none" if value is None else format(value, spec)


def _hour(text: str) -> str:
    """Return a whole hour in ISO 8601, UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time: use ISO 8601 like 2026-04-29T12") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment != floor_hour(moment):
        raise ArgumentTypeError(f"{text!r} is no whole hour")
    return moment.isoformat()
