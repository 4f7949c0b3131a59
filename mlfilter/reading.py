"""What pages read of the filter from the rows, without loading what learns: a page must not wait for scikit-learn."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Q, Sum

from market.models import Symbol
from mlfilter.filters import FAMILY
from mlfilter.models import BotSymbol, Outcome, Setup, SetupBacktest
from mlfilter.monitor import DAYS, ENDED
from ops.models import Alert
from strategies.models import FittedModel

ALERT_KINDS = ("calibration", "drift")  # of the monitor's alerts, ``setup-filter:<kind>:<symbol>:<interval>``


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterSlot:
    """One symbol and interval that setups are looked for in, and the versions of its filter."""

    data_symbol: str  # as the bot's symbol has it
    interval: str
    symbol: Symbol | None  # None: not registered, so that no filter can be trained
    active: FittedModel | None = None
    shadows: tuple[FittedModel, ...] = ()
    candidates: tuple[FittedModel, ...] = ()  # newer than the active one, newest first
    troubles: tuple[str, ...] = ()  # what the monitor says is off


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveResult:
    """What a version expected of the setups that it judged in the last days, and what became of them."""

    n_setups: int = 0
    n_outcomes: int = 0
    expected: float | None = None  # mean probability; of those with an outcome, as the next
    succeeded: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Foregone:
    """What setups that were not traded would have come to, by the bars that followed."""

    n: int
    n_won: int
    r: float  # sum, costs included


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTraded:
    """The setups that were not traded, by why."""

    rejected: Foregone  # the filter judged them, and said no
    unjudged: Foregone  # there was no filter, or it failed
    missed: Foregone  # approved, and something else stood in the way


def filter_slots() -> tuple[FilterSlot, ...]:
    """Return where the bot looks for setups, in the order of its symbols, each once however many venues trade it."""
    wanted = dict.fromkeys(BotSymbol.objects.enabled().values_list("data_symbol", "interval"))
    names = {name for name, _ in wanted}
    registered: dict[str, Symbol] = {}
    for symbol in Symbol.objects.filter(Q(name__in=names) | Q(binance_symbol__in=names)):
        registered |= {symbol.binance_symbol: symbol, symbol.name: symbol}
    versions = _versions(registered.values())
    troubles = _troubles()
    return tuple(_slot(name, interval, registered.get(name), versions, troubles) for name, interval in wanted)


def _versions(symbols: Iterable[Symbol]) -> list[FittedModel]:
    shown = [FittedModel.Status.ACTIVE, FittedModel.Status.SHADOW, FittedModel.Status.CANDIDATE]
    models = FittedModel.objects.kept().filter(strategy=FAMILY, symbol__in=set(symbols), status__in=shown)
    return list(models.select_related("symbol").defer("fitted", "libraries", "columns").order_by("-version"))


def _troubles() -> dict[str, str]:
    """Return what the monitor's open alerts say, by their keys."""
    about = Q()
    for kind in ALERT_KINDS:
        about |= Q(key__startswith=f"setup-filter:{kind}:")
    return dict(Alert.objects.open().filter(about).values_list("key", "detail"))


def _slot(
    name: str, interval: str, symbol: Symbol | None, versions: Collection[FittedModel], troubles: dict[str, str]
) -> FilterSlot:
    if symbol is None:
        return FilterSlot(data_symbol=name, interval=interval, symbol=None)
    mine = [model for model in versions if (model.symbol_id, model.variant) == (symbol.pk, interval)]
    active = next((model for model in mine if model.status == FittedModel.Status.ACTIVE), None)
    newer_than = active.version if active else 0
    keys = [f"setup-filter:{kind}:{symbol.name}:{interval}" for kind in ALERT_KINDS]
    return FilterSlot(
        data_symbol=name,
        interval=interval,
        symbol=symbol,
        active=active,
        shadows=tuple(model for model in mine if model.status == FittedModel.Status.SHADOW),
        candidates=tuple(
            model for model in mine if model.status == FittedModel.Status.CANDIDATE and model.version > newer_than
        ),
        troubles=tuple(troubles[key] for key in keys if key in troubles),
    )


def live_results(models: Collection[FittedModel], *, now: datetime, days: int = DAYS) -> dict[int, LiveResult]:
    """Return what each version expected and what came, by its id; the same setups that the monitor measures."""
    judged = Setup.objects.filter(model__in=models, confidence__isnull=False, bar_at__gte=now - timedelta(days=days))
    rows = list(judged.order_by().values("model", "confidence", "outcome__exit_reason", "outcome__r"))
    return {model.pk: _live(model, [row for row in rows if row["model"] == model.pk]) for model in models}


def _live(model: FittedModel, rows: Collection[Mapping[str, Any]]) -> LiveResult:
    """Return one version's figures; what a person or the kill switch ended says nothing about a setup."""
    over = [row for row in rows if row["outcome__exit_reason"] in ENDED]
    ended = [(row["confidence"], _succeeded(model, row["outcome__exit_reason"], row["outcome__r"])) for row in over]
    if not ended:
        return LiveResult(n_setups=len(rows))
    return LiveResult(
        n_setups=len(rows),
        n_outcomes=len(ended),
        expected=sum(p for p, _ in ended) / len(ended),
        succeeded=sum(won for _, won in ended) / len(ended),
    )


def _succeeded(model: FittedModel, reason: str, r: float) -> bool:
    """Return whether a setup succeeded by the label that the version was trained on."""
    terms = model.params["terms"]
    if terms["label"] == "triple_barrier":
        return reason == Outcome.ExitReason.TARGET
    return bool(r * terms["barriers"]["stop_pct"] > terms["success_threshold"])


def not_traded() -> NotTraded:
    """Return what all setups that were not traded would have come to, in one query."""
    kinds = {
        "rejected": Q(setup__approved=False, setup__confidence__isnull=False),
        "unjudged": Q(setup__approved=False, setup__confidence__isnull=True),
        "missed": Q(setup__approved=True),
    }
    wanted: dict[str, Any] = {}
    for kind, which in kinds.items():
        wanted |= {
            f"{kind}_n": Count("pk", filter=which),
            f"{kind}_n_won": Count("pk", filter=which & Q(r__gt=0)),
            f"{kind}_r": Sum("r", filter=which, default=0.0),
        }
    sums = Outcome.objects.computed().aggregate(**wanted)
    return NotTraded(
        **{kind: Foregone(**{name: sums[f"{kind}_{name}"] for name in ("n", "n_won", "r")}) for kind in kinds}
    )


def newest_backtests(n: int) -> tuple[SetupBacktest, ...]:
    """Return the newest backtest of each symbol and interval, the newest first, at most ``n``; without its trades."""
    newest = SetupBacktest.objects.order_by().values("symbol", "interval").annotate(newest=Max("pk"))
    return tuple(SetupBacktest.objects.filter(pk__in=newest.values("newest")).defer("trades")[:n])
