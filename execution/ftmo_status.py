"""How the account stands in its funded programme, for people and programs."""

from __future__ import annotations

from typing import Any

from execution.models import FundedProgramme
from execution.programmes import ProgrammeStanding, enrolment_for, programme_standing
from execution.safety.reconcile import book_fills, current_account
from execution.safety.risk.course import Breach, LossDay
from execution.safety.risk.days import day_begin, next_reset
from execution.safety.risk.objectives import Objective
from execution.watching import watch
from execution.wire import the_broker


def ftmo_status(programme: str | None = None) -> tuple[dict[str, Any], ProgrammeStanding]:
    """Return the document of ``ftmo_status/1`` and what it is made of, from a fresh read of the broker.

    Raises
    ------
    ProgrammeError
        The account is held to no programme and none was named, or there is none of that name.
    """
    with the_broker(patient=False) as broker:
        seen = watch(broker)
        account = current_account(seen.snapshot)
        enrolment = enrolment_for(account, programme)
        book_fills(broker, account)
    found = programme_standing(
        enrolment,
        balance=seen.snapshot.balance,
        equity=seen.snapshot.equity,
        n_positions=len(seen.positions),
        market_at=seen.market_at,
    )
    document = {
        "programme": _rules(enrolment.programme),
        "is_enrolled": enrolment.pk is not None,
        "begin_at": enrolment.begin_at,
        "market_time": seen.market_at,
        "next_reset": next_reset(seen.market_at),
        "account": {
            "initial": found.standing.initial,
            "balance": seen.snapshot.balance,
            "equity": seen.snapshot.equity,
            "day_start": found.standing.day_start,
            "highest_close": found.standing.highest_close,
        },
        "objectives": [_objective(objective) for objective in found.objectives],
        "days": [_day(day) for day in found.days],
        "breach": _breach(found.breach),
        "unexplained": found.unexplained,
    }
    return document, found


def warnings_of(found: ProgrammeStanding) -> tuple[str, ...]:
    """Return what makes the figures less than certain."""
    if found.unexplained == 0:
        return ()
    since = f"{found.enrolment.begin_at:%Y-%m-%d %H:%M}"
    return (
        f"the stored deals since {since} leave {found.unexplained:.2f} of the balance unexplained: results of days are "
        f"of the deals, floors of the most careful balance",
    )


def _rules(row: FundedProgramme) -> dict[str, Any]:
    names = ("key", "title", "daily_loss", "max_loss", "max_loss_kind", "profit_target", "min_trading_days")
    return {name: getattr(row, name) for name in (*names, "best_day_share", "soft_line", "hard_line")}


def _objective(objective: Objective) -> dict[str, Any]:
    names = ("code", "state", "limit", "value", "left", "floor", "message")
    return {name: getattr(objective, name) for name in names}


def _day(day: LossDay) -> dict[str, Any]:
    return {
        "day": day.day_on,
        "begin_at": day_begin(day.day_on),
        "start": day.start,
        "result": day.result,
        "close": day.close,
        "is_trading_day": day.is_trading_day,
    }


def _breach(breach: Breach | None) -> dict[str, Any] | None:
    if breach is None:
        return None
    return {"at": breach.at, "equity": breach.equity, "floor": breach.floor, "rule": breach.rule}


def ftmo_text(document: dict[str, Any]) -> str:
    """Return the status for people."""
    held = "" if document["is_enrolled"] else ", tried: the account is not held to it"
    lines = [f"{document['programme']['title']} since {document['begin_at']:%Y-%m-%d %H:%M} UTC{held}"]
    lines += [f"{row['state']:<9} {row['code']:<17} {row['message']}" for row in document["objectives"]]
    if document["breach"]:
        breach = document["breach"]
        lines.append(
            f"BREACHED  {breach['rule']:<17} {breach['equity']:.2f} was below {breach['floor']:.2f} "
            f"at {breach['at']:%Y-%m-%d %H:%M} UTC"
        )
    return "\n".join([*lines, f"next reset {document['next_reset']:%Y-%m-%d %H:%M} UTC"])
