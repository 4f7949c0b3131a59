"""Backtests as rows: each is kept and counted as a trial, also one that was run before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db import transaction

from ops.audit import Actor
from ops.errors import DeskError, ExitCode
from ops.live import announce
from strategies.backtesting import measuring
from strategies.backtesting.requests import BacktestRequest
from strategies.models import Backtest
from strategies.models.backtests import write_table
from strategies.provenance import commit
from strategies.samples import is_same_sample

if TYPE_CHECKING:
    from strategies.backtesting.fast import Simulated


class UnknownBacktestError(DeskError):
    """A backtest that was asked for and is not there."""

    exit_code = ExitCode.USAGE


def keep(simulated: Simulated, request: BacktestRequest, *, actor: Actor, seconds: float) -> Backtest:
    """Store what an engine found, with its metrics and the number of the trial that it is."""
    sizes = {name: request.terms_of(name).lots.contract_size for name in request.symbols}
    metrics = measuring.figures(simulated, sizes)
    sample = {"symbols": list(request.symbols), "begin_at": request.begin, "end_at": request.end}
    config_hash = hash_of(simulated.config)
    sharpes = earlier_sharpes(sample) | {config_hash: metrics["sharpe"]}
    samples = measuring.samples(simulated.equity, simulated.fitted_to)
    with transaction.atomic():
        row = Backtest.objects.create(
            engine=simulated.engine,
            source=request.source,
            **sample,
            config=simulated.config,
            config_hash=config_hash,
            metrics=metrics,
            samples=samples,
            costs=simulated.costs,
            n_trials=len(sharpes),
            luck=measuring.luck(simulated.equity, sharpes.values()),
            drift=simulated.drift,
            warnings=[*request.warnings, *simulated.warnings, *_flattery(samples)],
            equity_file=write_table(simulated.equity.to_frame()),
            fills_file=write_table(simulated.fills),
            seconds=seconds,
            note=request.note,
            commit=commit(),
            created_by=actor.name,
        )
        announce("backtests", {"id": row.pk})
    return row


def hash_of(config: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a configuration, whatever the order of its names."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def earlier_sharpes(sample: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the Sharpe ratio of every configuration tried on the same sample, by its hash."""
    fields = ("config_hash", "metrics__sharpe", "begin_at", "end_at")
    tried = Backtest.objects.on_sample(**sample).values_list(*fields)
    ours = (sample["begin_at"], sample["end_at"])
    return {config: sharpe for config, sharpe, begin, end in tried if is_same_sample(ours, (begin, end))}


def _flattery(samples: Mapping[str, Any]) -> list[str]:
    """Say so where a result is of bars that its models were fitted on."""
    inside, outside = samples["in_sample"], samples["out_of_sample"]
    if inside is None:
        return []
    if outside is None:
        return ["all of it is in-sample: the models were fitted on these bars, and any result flatters them"]
    share = inside["n_bars"] / (inside["n_bars"] + outside["n_bars"])
    return [f"{share:.0%} of it is in-sample: only the figures from {samples['split_at']} on say how models do"]


def get_backtest(backtest_id: int) -> Backtest:
    """Return a backtest by its number.

    Raises
    ------
    UnknownBacktestError
    """
    row = Backtest.objects.filter(pk=backtest_id).first()
    if row is None:
        raise UnknownBacktestError(f"no backtest #{backtest_id}; `manage.py backtest_list` shows them")
    return row


def same_as(row: Backtest) -> int | None:
    """Return the number of the first earlier backtest of the same configuration, None if it is the first."""
    first: int | None = Backtest.objects.like(row.config_hash).values_list("pk", flat=True).first()
    return None if first == row.pk else first


def as_document(row: Backtest) -> dict[str, Any]:
    """Return a backtest as ``backtest_run/1`` has it."""
    names = "engine source symbols metrics samples costs n_trials luck drift seconds note config config_hash commit"
    data = {"id": row.pk, "begin": row.begin_at, "end": row.end_at, "same_as": same_as(row)}
    return data | {name: getattr(row, name) for name in names.split()} | {"created_by": row.created_by}
