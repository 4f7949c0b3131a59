"""Search a strategy's parameters by cross-validation on stored bars."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ops.command import DeskCommand, Outcome, command_actor
from ops.progress import BarProgress
from strategies.backtesting.requests import HISTORY_HOURS
from strategies.estimators import build
from strategies.models import TuningRun
from strategies.tuning import SPLITTERS, TuningRequest, TuningRequestError, as_document, tune_strategy
from strategies.tuning_jobs import enqueue_tuning
from strategies.tuning_spaces import parse_space

SHOWN = 10  # trials in the text; --json has all
SPLITTING = {"splits": "n_splits", "block_length": "block_length", "embargo": "embargo"}


class Command(DeskCommand):
    help = "Search a strategy's parameters by cross-validation; every trial is kept and counts against later ones."
    examples = (
        "tune_strategy ema_vol --symbol BTCUSD --grid '{\"fast_ema_window\": [24, 48, 96]}'",
        'tune_strategy break_vol --symbol ETHUSD --random \'{"breakout_window": {"from": 48, "to": 336}}\' --n-iter 20',
    )
    schema = "tune_strategy/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("strategy", metavar="STRATEGY", help="key, like ema_vol")
        parser.add_argument("--symbol", required=True, metavar="S", help="on whose bars")
        space = parser.add_mutually_exclusive_group(required=True)
        space.add_argument("--grid", metavar="JSON", help="every combination of lists of values, by parameter")
        space.add_argument("--random", metavar="JSON", help="draws from lists, or from ranges with from and to")
        parser.add_argument("--n-iter", type=int, metavar="N", help="with --random: sets that are drawn")
        parser.add_argument(
            "--splitter", choices=list(SPLITTERS), default="bootstrap", help="how bars are cut; default: bootstrap"
        )
        parser.add_argument("--splits", type=int, metavar="N", help="folds; default: the splitter's")
        parser.add_argument("--block-length", type=int, metavar="N", help="bars of a block; default: the splitter's")
        parser.add_argument("--embargo", type=int, metavar="N", help="bars kept apart; default: the splitter's")
        parser.add_argument("--scorer", default="ic", metavar="KEY", help="ic, risk_adjusted_ic, smoothness or sharpe")
        parser.add_argument(
            "--bars", type=int, default=HISTORY_HOURS, metavar="N", help=f"the newest so many; default: {HISTORY_HOURS}"
        )
        parser.add_argument("--jobs", type=int, default=1, metavar="N", help="workers, see FIT_BACKEND; default: 1")
        parser.add_argument("--seed", type=int, default=0, metavar="N", help="of draws and blocks; default: 0")
        parser.add_argument("--note", default="", help="why, kept with the result")
        parser.add_argument("--queue", action="store_true", help="let the research queue do it, see job_list")

    def run(self, **options: Any) -> Outcome:
        request = _request(options)
        if options["dry_run"]:
            data = {"n_trials": request.n_trials, "n_splits": request.make_splitter().get_n_splits()}
            text = f"would try {data['n_trials']} sets of {request.strategy} on {data['n_splits']} folds of "
            return Outcome(data=data, text=f"{text}{request.symbol}; nothing was changed")
        if options["queue"]:
            run = enqueue_tuning(request, actor=command_actor())
            return Outcome(data={"run_id": run.pk, "status": run.status}, text=f"queued as run {run.pk}")
        with BarProgress() as progress:
            row = tune_strategy(request, actor=command_actor(), progress=progress)
        return Outcome(data=as_document(row), text="\n".join(_lines(row)))


def _request(options: dict[str, Any]) -> TuningRequest:
    build(options["strategy"])  # a key that is not known is said before anything is queued
    if (options["n_iter"] is None) != (options["random"] is None):
        raise TuningRequestError("--random and --n-iter go together")
    return TuningRequest(
        strategy=options["strategy"],
        symbol=options["symbol"],
        space=parse_space(options["random"] or options["grid"]),
        n_iter=options["n_iter"],
        splitter=options["splitter"],
        splitting={name: options[given] for given, name in SPLITTING.items() if options[given] is not None},
        scorer=options["scorer"],
        history_hours=options["bars"],
        jobs=options["jobs"],
        seed=options["seed"],
        note=options["note"],
    )


def _lines(row: TuningRun) -> list[str]:
    ranked = sorted(row.trials, key=lambda trial: -_number(trial["mean"]))
    lines = [
        f"{_number(trial['mean']):+.4f} ± {_number(trial['std']):.4f}  Sharpe (365 d, after costs) "
        f"{_number(trial['sharpe']):+.2f}  {', '.join(f'{name}={value}' for name, value in trial['params'].items())}"
        for trial in ranked[:SHOWN]
    ]
    luck = "unknown: it never traded" if row.luck is None else f"{row.luck:.1%}"
    return [
        f"#{row.pk} {row.strategy} on {row.symbol}, {row.n_bars} bars tested, mean {row.config['scorer']} of folds",
        *lines,
        f"{row.n_trials} different trials on these bars so far; probability that the best is luck: {luck}",
        f"{row.seconds:.1f} s",
    ]


def _number(value: float | None) -> float:
    return 0.0 if value is None else value
