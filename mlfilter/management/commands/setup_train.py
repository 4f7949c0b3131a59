"""Train the filter and register the result as a candidate."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from mlfilter.training import Target, TrainedFilter, targets, train
from ops.command import DeskCommand, Outcome, command_actor
from ops.errors import DeskError, ExitCode
from ops.progress import BarProgress

SHOWN_FEATURES = 5


class Command(DeskCommand):
    """Candidates decide nothing: ``model_promote`` asks the gates."""

    help = (
        "Train the filter of the bot's symbols on stored klines. Each result is a candidate, which decides nothing "
        "until `model_promote` lets it; what it shows on setups that it had not seen is reported, beside taking all."
    )
    examples = ("setup_train", "setup_train --symbol ETHUSDT --unseen-days 90 --json")
    schema = "setup_train/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbol", action="append", default=[], help="only this one; may be given again")
        parser.add_argument(
            "--unseen-days", type=int, metavar="N", help="newest days left out, to judge it on (default: the settings')"
        )
        parser.add_argument("--note", default="", help="why, kept with the version and in the audit log")

    def run(self, **options: Any) -> Outcome:
        chosen = targets(options["symbol"])
        if options["dry_run"]:
            return _would_train(chosen)
        trained, failed = [], []
        with BarProgress() as progress:
            progress.start(len(chosen), "training")
            for target in chosen:
                try:
                    trained.append(_train(target, options))
                except DeskError as error:
                    failed.append((target, error))
                progress.advance(target.symbol.name)
        return _outcome(trained, failed)


def _train(target: Target, options: dict[str, Any]) -> TrainedFilter:
    return train(target, unseen_days=options["unseen_days"], note=options["note"], actor=command_actor())


def _would_train(chosen: list[Target]) -> Outcome:
    planned = [{"symbol": target.symbol.name, "interval": target.interval} for target in chosen]
    lines = [f"would train {row['symbol']} {row['interval']}" for row in planned]
    data = {"models": [], "failed": [], "planned": planned}
    return Outcome(data=data, text="\n".join([*lines, "nothing was changed"]))


def _outcome(trained: list[TrainedFilter], failed: list[tuple[Target, DeskError]]) -> Outcome:
    lines = [line for done in trained for line in _lines(done)]
    lines += [f"{target.symbol.name} {target.interval} failed: {error}" for target, error in failed]
    data = {
        "models": [done.as_data() for done in trained],
        "failed": [
            {"symbol": target.symbol.name, "interval": target.interval, "error": str(error)} for target, error in failed
        ],
    }
    code = ExitCode.DONE
    if failed:
        code = ExitCode.PARTLY if trained else failed[0][1].exit_code
    warnings = tuple(f"{done.model}: {why}" for done in trained for why in done.left_out)
    return Outcome(data=data, text="\n".join(lines), exit_code=code, warnings=warnings)


def _lines(done: TrainedFilter) -> list[str]:
    model, report = done.model, done.report
    strongest = list(report.importance.items())[:SHOWN_FEATURES]
    auc = "none" if report.auc is None else f"{report.auc:.3f}"
    return [
        f"{model}  {model.status}, id {model.pk}: {report.n_setups} setups in {model.n_bars} bars to "
        f"{model.fit_to:%Y-%m-%d %H:%M}, {model.seconds:.1f} s",
        f"  unseen     AUC {auc}, base rate {_rate(report.base_rate)}, calibration error "
        f"{_rate(report.calibration_error)}; {report.n_folds} folds, configuration {report.n_configurations}",
        f"  precision  {_rate(report.filtered.precision)} of {report.filtered.n} at {report.threshold:.2f}, "
        f"{_rate(report.everything.precision)} of all {report.everything.n}",
        f"  strongest  {', '.join(f'{name} {fall:+.3f}' for name, fall in strongest) or 'none'}",
        *(f"  {sentence}" for sentence in report.words),
    ]


def _rate(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
