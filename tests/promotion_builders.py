"""A slot in which one version trades and another waits, for tests of promotion, shadows and drift."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from strategies import fresh
from strategies.fitting import fit_models
from strategies.models import FittedModel, RegistrySettings
from strategies.versions import Activate
from tests.bars_builders import make_bars
from tests.fits_builders import make_symbol, plan_row

N_BARS, UNSEEN = 400, 100
FIRST_FIT = 200  # bars of the version that trades
BETTER, WORSE = 0, 7  # seeds of walks on which the candidate's Sharpe after costs is 0.13 above, 0.44 below


class Rivals(NamedTuple):
    """What trades, and what would like to."""

    active: FittedModel
    candidate: FittedModel


def make_rivals(*, seed: int = BETTER, hold_out: int = UNSEEN, **settings: float) -> Rivals:
    """Return two versions of one model: the active one of the first bars, and a candidate that left the last out."""
    RegistrySettings.objects.update_or_create(pk=1, defaults={"unseen_bars": UNSEEN} | settings)
    make_symbol(n_bars=N_BARS, seed=seed)
    plan_row()
    (active,) = fit_models(until=make_bars(seed, N_BARS).index[FIRST_FIT].to_pydatetime()).models
    (candidate,) = fit_models(activate=Activate.NEVER, hold_out=hold_out).models
    return Rivals(active, candidate)


def in_this_process(tasks: list[fresh.Task], *, root: Path, key: bytes) -> list[fresh.Answer]:
    """Answer as a fresh process would, without its start of two seconds."""
    return [fresh.answer(task, root=root, key=key) for task in tasks]
