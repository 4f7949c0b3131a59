"""What the desk trades on: its models, and the mark that it may."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from execution.models import ControlRow
from execution.safety.armed import ArmedMark
from execution.safety.control import State, armed_file, mark_of
from market.models import Symbol
from strategies import registry
from strategies.manifests import ModelFileError
from strategies.models import FittedModel
from tradingsite.health.finding import Finding, fail, ok, skip, warn

STOPPED = (State.KILLING, State.KILLED)


def check_models() -> Iterator[Finding]:
    """Open every active model as a session does, and look for what the plan lacks."""
    symbols = list(Symbol.objects.traded())
    if not symbols or not FittedModel.objects.exists():
        fix = "manage.py up" if settings.TRADING_MODE == "demo" else "manage.py fit_models"
        yield warn("models", "nothing is fitted yet: nothing is traded", fix=fix)
        return
    for symbol in symbols:
        yield _models_of(symbol.name)


def _models_of(symbol: str) -> Finding:
    fix = f"manage.py fit_models --symbol {symbol}"
    try:
        models = registry.active(symbol)
    except ModelFileError as error:
        return fail(symbol, f"it is skipped: {error}", fix=fix)
    missing = registry.missing_models(symbol)
    if missing:
        return fail(symbol, f"the plan has no active model for {', '.join(missing)}: it counts as 0", fix=fix)
    differing = [warning for model in models for warning in model.warnings]
    if differing:
        return warn(symbol, differing[0], fix=fix)
    return ok(symbol, f"{len(models)} models, every file is ours and whole")


def check_armed() -> Iterator[Finding]:
    """Compare the armed file with the row: both have to say the same."""
    mark = armed_file().read()
    row = ControlRow.objects.filter(scope=ControlRow.SYSTEM).first()
    if row is None:
        yield _never_armed(mark)
    elif row.state in STOPPED:
        yield _stopped(row, mark)
    else:
        yield _armed(row, mark)


def _never_armed(mark: ArmedMark | None) -> Finding:
    if mark:
        return fail("armed file", "there, though nobody ever armed this desk", fix=f"rm {armed_file().path}")
    if settings.TRADING_MODE == "demo":
        return skip("armed file", "the demo arms itself when it is first up")
    return warn("armed file", "never armed: nothing is traded", fix="manage.py trade_arm --check")


def _stopped(row: ControlRow, mark: ArmedMark | None) -> Finding:
    if mark:
        return fail("armed file", f"there, though the desk is {row.state}", fix=f"rm {armed_file().path}")
    return warn("armed file", f"{row.state}: {row.reason or 'no reason given'}", fix="manage.py trade_arm --check")


def _armed(row: ControlRow, mark: ArmedMark | None) -> Finding:
    if mark is None:
        detail = f"missing or unreadable, though the desk is {row.state}: this counts as killed"
        return fail("armed file", detail, fix="manage.py trade_arm --check")
    if mark != mark_of(row):
        return fail("armed file", "names other accounts than the row", fix="manage.py trade_arm --check")
    venues = "".join(f", …{str(login)[-4:]} {server}" for login, server in mark.venues.values())
    return ok("armed file", f"{row.state}, for …{str(mark.login)[-4:]} {mark.server}{venues}")
