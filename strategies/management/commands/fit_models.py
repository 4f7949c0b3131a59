"""Fit the plan and register new versions of the models."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from ops.command import DeskCommand, Outcome, command_actor
from ops.progress import BarProgress
from strategies.fitting import FailedFit, FitReport, fit_models, planned_fits
from strategies.versions import Activate


class Command(DeskCommand):
    help = "Fit every enabled row of the plan for every traded symbol; each result is a new version of its model."
    examples = ("fit_models", "fit_models --symbol BTCUSD --strategy ema_vol --no-activate --json")
    schema = "fit_models/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbol", action="append", default=[], help="only this one; may be given again")
        parser.add_argument("--strategy", action="append", default=[], help="only this key; may be given again")
        parser.add_argument("--jobs", type=_at_least_one, default=1, help="processes that fit; 1 is fast enough")
        parser.add_argument("--until", type=_moment, help="look at no bar that ends later, like 2026-01-31T12:00")
        parser.add_argument("--no-activate", action="store_true", help="register candidates; what trades goes on")
        parser.add_argument(
            "--hold-out",
            type=_at_least_one,
            default=0,
            metavar="N",
            help="leave out the N newest bars, see model_promote",
        )
        parser.add_argument("--note", default="", help="why, kept with the models and in the audit log")

    def run(self, **options: Any) -> Outcome:
        chosen = {"symbols": options["symbol"], "strategies": options["strategy"]}
        if options["dry_run"]:
            return _would_fit(planned_fits(**chosen))
        with BarProgress() as progress:
            report = fit_models(
                **chosen,
                until=options["until"],
                jobs=options["jobs"],
                activate=Activate.NEVER if options["no_activate"] else Activate.ALWAYS,
                hold_out=options["hold_out"],
                note=options["note"],
                actor=command_actor(),
                progress=progress,
            )
        return Outcome(data=report.as_data(), text=_text(report), exit_code=report.exit_code)


def _would_fit(planned: list[dict[str, Any]]) -> Outcome:
    lines = [f"would fit {row['symbol']} {row['strategy']} {row['variant']}" for row in planned]
    data = {"models": [], "failed": [], "seconds": 0.0, "planned": planned}
    return Outcome(data=data, text="\n".join([*lines, f"{len(planned)} models; nothing was changed"]))


def _text(report: FitReport) -> str:
    lines = [
        f"{model}  {model.status}  {model.n_bars} bars to {model.fit_to:%Y-%m-%d %H:%M}  {_sharpe(model.metrics)}"
        for model in report.models
    ]
    lines += _failures(report.failed)
    n_active = sum(model.status == model.Status.ACTIVE for model in report.models)
    summary = f"{len(report.models)} fitted, {n_active} active, {len(report.failed)} failed in {report.seconds:.1f} s"
    return "\n".join([*lines, summary])


def _sharpe(metrics: dict[str, float | None]) -> str:
    sharpe = metrics["sharpe"]
    return "in-sample Sharpe (365 d) none" if sharpe is None else f"in-sample Sharpe (365 d) {sharpe:+.2f}"


def _failures(failed: tuple[FailedFit, ...]) -> list[str]:
    """Return one line per cause: a symbol without bars fails every model the same way."""
    models: dict[tuple[str, str], list[str]] = {}
    for failure in failed:
        models.setdefault((failure.symbol, failure.error), []).append(f"{failure.strategy} {failure.variant}")
    return [f"{symbol} failed: {error} ({'; '.join(names)})" for (symbol, error), names in models.items()]


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"must be a whole number of at least 1, was {text!r}")
    return int(text)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"must be a time like 2026-01-31T12:00 (UTC) or with +02:00, was {text!r}") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
