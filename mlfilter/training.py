"""Train a filter on stored klines and register it as a candidate: it decides nothing until it is promoted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from market.models import Symbol
from mlfilter.configuration import new_recognizer, terms_data, terms_from, terms_of
from mlfilter.errors import FilterDataError
from mlfilter.filters import FAMILY, FROM_FEATURES
from mlfilter.ground import Ground, ground_of, ground_with_enough
from mlfilter.history import bar_length, klines_symbol, newest_close, read_bars, stored_time
from mlfilter.models import BotSettings, BotSymbol, SetupBacktest, current_settings
from mlfilter.outcomes import with_real_outcomes
from ops import clock
from ops.audit import SYSTEM, Actor
from strategies.manifests import Manifest, Slot
from strategies.models import FittedModel
from strategies.provenance import bars_hash, commit, library_versions
from strategies.versions import Activate, Made, Terms, register

if TYPE_CHECKING:
    import pandas as pd

    from mlfilter import proposals
    from mlfilter.proposals import FoundSetups
    from mlfilter.recognizers.recognizer import MLPatternRecognizer
    from mlfilter.recognizers.report import TrainingReport

# What the recognizer is made with, beside what today's settings decide and what the terms say.
KEPT = ("model", "params", "n_folds", "calibration_fraction", "n_configurations", "random_state")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedFilter:
    """A new version, and what it showed on setups that it had not seen."""

    model: FittedModel
    report: TrainingReport
    n_real: int  # setups whose outcome is a real trade's
    left_out: tuple[str, ...] = ()  # which outside columns it does without, and why

    def as_data(self) -> dict[str, Any]:
        """Return it as commands show it."""
        model = self.model
        return {
            "id": model.pk,
            "symbol": model.symbol.name,
            "interval": model.variant,
            "version": model.version,
            "status": model.status,
            "fit_from": model.fit_from,
            "fit_to": model.fit_to,
            "n_bars": model.n_bars,
            "n_real_trades": self.n_real,
            "outside": model.params["terms"]["outside"],
            "left_out": self.left_out,
            "seconds": model.seconds,
            "report": self.report.as_data(),
        }


@dataclass(frozen=True, slots=True)
class Target:
    """Whose filter: a registered symbol, and the length of its bars."""

    symbol: Symbol
    interval: str


def targets(names: Sequence[str] = (), *, settings: BotSettings | None = None) -> list[Target]:
    """Return what has a filter: the bot's enabled symbols, or those named, by their name here, there or at Binance.

    Raises
    ------
    UnknownSymbolError
    FilterDataError
        The bot has no symbols and none is named.
    """
    rows = list(BotSymbol.objects.all())
    usual = (settings or current_settings()).interval
    if not names:
        wanted = [(row.data_symbol, row.interval) for row in rows if row.is_enabled]
        if not wanted:
            raise FilterDataError("the bot has no enabled symbol; name one with --symbol, or add it in the admin")
    else:
        wanted = [pair for name in names for pair in _named(name, rows, usual)]
    found = [Target(klines_symbol(name), interval) for name, interval in wanted]
    return list({(target.symbol.pk, target.interval): target for target in found}.values())


def train(
    target: Target,
    *,
    until: datetime | None = None,
    unseen_days: int | None = None,
    note: str = "",
    actor: Actor = SYSTEM,
    settings: BotSettings | None = None,
) -> TrainedFilter:
    """Train the filter of a symbol and register it as a candidate.

    Parameters
    ----------
    until : datetime, optional
        Bars that end later are not looked at; the newest stored one by default.
    unseen_days : int, optional
        So many days before the newest bar are left out, for a promotion to be judged on; the settings' by default.

    Raises
    ------
    FilterDataError
        Too few bars or setups.
    ModelFileError, OSError
        The version could not be stored.
    """
    started = clock.mono()
    settings = settings or current_settings()
    with stored_time(target.symbol, target.interval):
        ground = _ground(target, settings, until=until, unseen_days=unseen_days)
        found, n_real = with_real_outcomes(ground.find(), target.symbol, ground.terms)
    n_configurations = n_tried(target.symbol.binance_symbol, target.interval) + 1
    recognizer = new_recognizer(settings, ground.terms, n_configurations=n_configurations)
    recognizer.train(found.features, found.labels["label"], known_at=found.known_at, r=found.r)
    report = recognizer.report_
    made = Made(
        symbol=target.symbol,
        manifest=_manifest(target, ground, recognizer),
        estimator=recognizer,
        metrics={"words": [*ground.left_out, *report.words], "report": report.as_data()},
        seconds=clock.mono() - started,
    )
    model = register(made, Terms(activate=Activate.NEVER, note=note, actor=actor))
    return TrainedFilter(model=model, report=report, n_real=n_real, left_out=ground.left_out)


def trained_on(model: FittedModel) -> tuple[pd.DataFrame, FoundSetups, MLPatternRecognizer]:
    """Return what a version was trained on, read again, and its recognizer as it was before training.

    The first are the bars with the outside columns that it knows beside them: their hash is the version's.

    Raises
    ------
    FilterDataError
        The bars are gone.
    """
    from mlfilter.recognizers.recognizer import MLPatternRecognizer

    terms = terms_of_model(model)
    until = model.fit_to + bar_length(model.variant)
    bars = read_bars(model.symbol, model.variant, since=model.fit_from, until=until)
    ground = ground_of(model.symbol.binance_symbol, bars, terms)
    found, _ = with_real_outcomes(ground.find(), model.symbol, terms)
    return ground.read, found, MLPatternRecognizer(**model.params["recognizer"], embargo=terms.embargo)


def terms_of_model(model: FittedModel) -> proposals.Terms:
    """Return what a setup and a success were when a version was trained."""
    return terms_from(model.params["terms"])


def n_tried(binance_symbol: str, interval: str) -> int:
    """Return how many different configurations were trained or tested for a symbol and interval so far."""
    trained = FittedModel.objects.filter(symbol__binance_symbol=binance_symbol, strategy=FAMILY, variant=interval)
    tested = SetupBacktest.objects.filter(symbol=binance_symbol, interval=interval)
    both = [*trained.values_list("params", flat=True), *tested.values_list("params", flat=True)]
    return len({repr(_configuration(params)) for params in both})


def _configuration(params: dict[str, Any]) -> list[tuple[str, Any]]:
    kept = {name: value for name, value in params["recognizer"].items() if name != "n_configurations"}
    return sorted(({"outside": []} | params["terms"] | kept).items())  # older versions knew of none


def recognizer_data(recognizer: MLPatternRecognizer) -> dict[str, Any]:
    """Return what a recognizer was made with, as JSON has it."""
    found = recognizer.get_params()
    return {name: found[name] for name in KEPT}


def _named(name: str, rows: Sequence[BotSymbol], usual: str) -> list[tuple[str, str]]:
    mine = [(row.data_symbol, row.interval) for row in rows if name in (row.name, row.data_symbol)]
    return mine or [(name, usual)]


def _ground(target: Target, settings: BotSettings, *, until: datetime | None, unseen_days: int | None) -> Ground:
    left_out = timedelta(days=settings.unseen_days if unseen_days is None else unseen_days)
    end = newest_close(target.symbol, target.interval, until=until) - left_out
    bars = read_bars(target.symbol, target.interval, since=end - timedelta(days=settings.train_days), until=end)
    return ground_with_enough(target.symbol.binance_symbol, bars, terms_of(settings, target.interval))


def _manifest(target: Target, ground: Ground, recognizer: MLPatternRecognizer) -> Manifest:
    far, bars = recognizer.similar_.far, ground.bars
    return Manifest(
        slot=Slot(symbol=target.symbol.name, strategy=FAMILY, variant=target.interval, version=1),
        strat_weight=0.0,
        params={"terms": terms_data(ground.terms), "recognizer": recognizer_data(recognizer)},
        fitted={
            "slope": recognizer.calibration_.slope,
            "intercept": recognizer.calibration_.intercept,
            "far": None if far == float("inf") else far,
            "n_setups": len(recognizer.similar_),
        },
        columns=tuple((name, FROM_FEATURES) for name in recognizer.feature_names_),
        fit_from=bars.index[0].to_pydatetime(),
        fit_to=bars.index[-1].to_pydatetime(),
        n_bars=len(bars),
        data_hash=bars_hash(ground.read),
        libraries=library_versions(),
        commit=commit(),
        created_at=clock.wall_now(),
    )
