"""Reads the facts: the venue's file with SQLite alone, our journal through its models."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

from django.db.models import Q

from execution.bot.services import JOB as BOT
from execution.bot.services import slot_of_run
from execution.chaos import facts as f
from execution.limits import current_limits
from execution.models import Attempt, BotTrade, Decision, Intent, KillEvent
from mlfilter.models import Setup
from ops.models import Alert, Announcement, Run

VENUE = "mt5"  # the only one whose books are read here
LEDGER, FAULTS = "ledger.sqlite3", "faults.jsonl"
HEDGING = 2  # ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
STARTED_ARMED = f.Change(at_ms=0, scope="system", state="armed")


class TimeLine(StrEnum):
    """Which clock the venue's requests and our journal are compared on."""

    MARKET = "market"  # one virtual clock is both the market's and the machine's
    REAL = "real"


def read_facts(sim_dir: Path, *, time_line: TimeLine, is_settled: bool, repeats: tuple[f.Repeat, ...]) -> f.Facts:
    """Return everything that is judged."""
    with closing(sqlite3.connect(f"file:{sim_dir / LEDGER}?mode=ro", uri=True, timeout=5)) as venue:
        venue.row_factory = sqlite3.Row
        account = venue.execute("SELECT login, server, margin_mode FROM account").fetchone()
        ended = venue.execute("SELECT value FROM meta WHERE name = 'advanced_ms'").fetchone()
        deals, holdings = tuple(_deals(venue)), tuple(_holdings(venue))
        requests = tuple(_requests(venue, time_line))
        resting = {
            row["symbol"]
            for row in venue.execute("SELECT symbol, magic FROM orders WHERE done_ms = 0")
            if f.is_ours(row["magic"])
        }
    return f.Facts(
        hedging=account["margin_mode"] == HEDGING,
        login=account["login"],
        server=account["server"],
        deals=deals,
        holdings=holdings,
        resting=tuple(sorted(resting)),
        requests=requests,
        intents={intent.magic: intent for intent in _intents()},
        attempts=tuple(_attempts(time_line)),
        changes=tuple(_changes()),
        kills=tuple(_kills()),
        decisions=tuple(_decisions()),
        alerts=frozenset(Alert.objects.open().values_list("key", flat=True)),
        repeats=repeats,
        trades=tuple(_trades()),
        missed=tuple(_missed()),
        looked_ms=_looked_ms(),
        caps=_caps(),
        end_ms=ended["value"] if ended else 0,
        n_faults=_n_faults(sim_dir / FAULTS),
        is_settled=is_settled,
    )


def _deals(venue: sqlite3.Connection) -> Iterator[f.Deal]:
    for row in venue.execute("SELECT * FROM deals WHERE symbol <> '' ORDER BY ticket"):
        yield f.Deal(
            ticket=row["ticket"],
            at_ms=row["time_ms"],
            symbol=row["symbol"],
            side=row["type"],
            entry=row["entry"],
            volume=_lots(row["volume"]),
            magic=row["magic"],
            position_id=row["position_id"],
            order_ticket=row["order_ticket"],
            by_program=row["reason"] == f.BY_PROGRAM,
            money=Decimal(row["profit"] + row["swap"] + row["commission"]).scaleb(-2),  # in cents
        )


def _holdings(venue: sqlite3.Connection) -> Iterator[f.Holding]:
    for row in venue.execute("SELECT * FROM positions ORDER BY ticket"):
        yield f.Holding(
            ticket=row["ticket"],
            symbol=row["symbol"],
            side=row["type"],
            volume=_lots(row["volume"]),
            magic=row["magic"],
            has_stop=row["sl"] > 0,
        )


def _requests(venue: sqlite3.Connection, time_line: TimeLine) -> Iterator[f.Request]:
    for row in venue.execute("SELECT * FROM requests ORDER BY number"):
        seen = json.loads(row["seen"])
        stop, target = seen["levels"]
        yield f.Request(
            number=row["number"],
            at_ms=row["at_ms"] if time_line is TimeLine.MARKET else row["wall_ms"],
            market_ms=row["at_ms"],
            action=_whole(row["action"]),
            symbol=row["symbol"],
            side=_whole(row["type"]),
            volume=row["lots"],
            price=row["price"] or "0",
            magic=row["magic"],
            position=row["position"],
            order_ticket=row["order_ticket"],
            retcode=row["retcode"],
            error=row["error"],
            answered=Decimal(row["answered"] or 0),
            deal=row["deal"],
            last_deal=row["last_deal"],
            stop=stop,
            target=target,
            books=_books(seen, row["symbol"]),
        )


def _books(seen: Mapping[str, Any], symbol: str) -> f.Books:
    mids = {name: Decimal(repr(mid)) for name, mid in seen["mids"].items()}
    return f.Books(
        equity=Decimal(seen["equity"]),
        holdings=tuple(
            f.Holding(ticket=ticket, symbol=name, side=side, volume=Decimal(volume), magic=magic)
            for ticket, name, side, volume, magic in seen["positions"]
        ),
        lot_values={name: mid * Decimal(seen["sizes"][name]) for name, mid in mids.items()},
        mid=mids.get(symbol, f.ZERO),
        grid=tuple(map(Decimal, seen["grid"])) if seen["grid"] else None,  # type: ignore[arg-type]  # three of them
    )


def _intents() -> Iterator[f.Intent]:
    for intent in Intent.objects.filter(account__broker=VENUE).select_related("account", "decision"):
        decision = intent.decision
        sizing = decision.sizing if decision else {}
        yield f.Intent(
            magic=intent.magic,
            symbol=intent.symbol,
            cause=intent.cause,
            cause_id=intent.cause_id,
            target=intent.target_lots.normalize(),
            start=intent.from_lots.normalize(),
            login=intent.account.login,
            server=intent.account.server,
            bar_ms=_ms(decision.bar_at) if decision else None,
            capital=Decimal(str(sizing["capital_per_asset"])) if "capital_per_asset" in sizing else None,
            market_ms=_ms(intent.market_at) or 0,
        )


def _attempts(time_line: TimeLine) -> Iterator[f.Attempt]:
    on_market = time_line is TimeLine.MARKET
    attempts = Attempt.objects.filter(leg__intent__account__broker=VENUE)
    for attempt in attempts.select_related("leg__intent").order_by("id"):
        call, ticket = attempt.request.get("call"), attempt.leg.ticket or 0
        sent = attempt.market_at if on_market and attempt.market_at else attempt.sent_at
        yield f.Attempt(
            number=attempt.pk,
            magic=attempt.leg.intent.magic,
            symbol=attempt.leg.intent.symbol,
            at_ms=_ms(sent) or 0,
            volume=attempt.leg.volume.normalize(),
            side=f.BUY if attempt.leg.side == "buy" else f.SELL,
            reduces=attempt.leg.reduces,
            fence=attempt.fence,
            order_ticket=ticket if call == "cancel" else 0,
            protects=ticket if call == "protect" else 0,
            replied_ms=_ms(attempt.replied_at),
            resolved_ms=_ms(attempt.resolved_at),
        )


def _changes() -> Iterator[f.Change]:
    yield STARTED_ARMED
    for row in Announcement.objects.filter(topic="state").order_by("id"):
        if {"scope", "state"} <= set(row.payload):
            at_ms = _ms(row.created_at) or 0
            yield f.Change(at_ms=at_ms, scope=row.payload["scope"], state=row.payload["state"])


def _kills() -> Iterator[f.Kill]:
    for event in KillEvent.objects.order_by("id"):
        yield f.Kill(
            number=event.pk,
            latched_ms=_ms(event.latched_at) or 0,
            flat_ms=_ms(event.flat_at),
            rearmed_ms=_ms(event.rearmed_at),
        )


def _decisions() -> Iterator[f.Decision]:
    magics = dict(Intent.objects.exclude(decision=None).values_list("decision_id", "magic"))
    for row in Decision.objects.order_by("id"):
        yield f.Decision(
            symbol=row.symbol,
            slot=row.slot,
            market_ms=_ms(row.market_at) or 0,
            target=None if row.target_lots is None else row.target_lots.normalize(),
            verdict=row.verdict,
            blocker=row.blocker,
            magic=magics.get(row.pk),
        )


def _trades() -> Iterator[f.BotTrade]:
    trades = BotTrade.objects.filter(account__broker=VENUE)
    for trade in trades.select_related("intent", "setup__outcome").order_by("id"):
        outcome = getattr(trade.setup, "outcome", None)
        yield f.BotTrade(
            magic=trade.intent.magic,
            setup=trade.setup_id,
            symbol=trade.symbol,
            status=trade.status,
            deadline_ms=_ms(trade.deadline_at) or 0,
            result=trade.result,
            booked=Decimal(repr(outcome.pnl)) if outcome else None,
        )


def _missed() -> Iterator[f.Missed]:
    approved = Setup.objects.approved().filter(broker=VENUE)
    for setup in approved.filter(Q(trade=None) | ~Q(missed_reason="")).order_by("id"):
        bar_ms = _ms(setup.bar_at) or 0
        yield f.Missed(setup=setup.pk, symbol=setup.symbol, bar_ms=bar_ms, reason=setup.missed_reason)


def _looked_ms() -> int:
    """Return when the bot's newest run that went through began, on the market's clock; 0 where none has."""
    through = Run.objects.filter(job=BOT, status__in=(Run.Status.DONE, Run.Status.PARTLY))
    return max((_ms(slot_of_run(run).at) or 0 for run in through.order_by("-id")[:5]), default=0)


def _caps() -> f.Caps:
    limits = current_limits()
    return f.Caps(
        max_position=limits.max_position_pct,
        max_gross=limits.max_gross,
        max_net=limits.max_net,
        max_order=limits.max_order_notional,
        per_minute=int(limits.max_orders_per_minute),
        per_day=int(limits.max_orders_per_day),
        requests_per_day=int(limits.max_requests_per_day),
    )


def _n_faults(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


def _whole(text: str) -> int:
    """Return a whole number that came as text, -1 for what is none."""
    return int(text) if text.isdecimal() else -1


def _lots(stored: int) -> Decimal:
    return Decimal(stored).scaleb(-8).normalize()


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
