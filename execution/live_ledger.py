"""The PnL ledger of the live account: its deals, what its models wanted, and the stored bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from execution.account_periods import LivePeriod
from execution.brokers.magic import is_ours
from execution.models import Account, Attempt, BrokerState, Decision, FillRecord
from market.reading import read_mtbars

if TYPE_CHECKING:
    import pandas as pd

    from strategies.research.booked import Wish
    from strategies.research.courses import AccountPeriod, Deal
    from strategies.research.pnl import PnlLedger

SIGNS = {"buy": 1, "sell": -1}
CLOSING = ("out", "out_by")
SPARE_BARS = 48  # before the beginning, for the price that holds there


def live_ledger(period: LivePeriod) -> tuple[PnlLedger, AccountPeriod, float]:
    """Return the ledger, what it was made of, and how much of the change of equity no price explained.

    Raises
    ------
    PnlError
        If the deals cannot be told, see ``booked_ledger``.
    """
    from strategies.research.booked import booked_ledger
    from strategies.research.courses import AccountPeriod

    values = lot_values(period)
    account = AccountPeriod(
        begin=period.first.at,
        end=period.last.at,
        net=period.net,
        deals=list(_deals(period, values)),
        closes=_closes(period),
        lot_values=values,
        accrued=period.last.swaps,
    )
    wishes = {symbol: list(_wishes(period.account, symbol)) for symbol in period.symbols}
    ledger, unexplained = booked_ledger(account, wishes)
    return ledger, account, unexplained


def lot_values(period: LivePeriod) -> dict[str, float]:
    """Return what a lot of each symbol gains when its price rises by 1, from the best source that knows it."""
    sources = (_by_booked_profit, _by_broker, _by_decision)
    return {symbol: value for source in sources for symbol, value in source(period).items()}


def _by_decision(period: LivePeriod) -> dict[str, float]:
    rows = Decision.objects.filter(account=period.account, symbol__in=period.symbols).order_by("pk")
    sizings = ((row.symbol, row.sizing) for row in rows if row.sizing)
    return {symbol: float(sizing["contract_value"]) / float(sizing["price"]) for symbol, sizing in sizings}


def _by_broker(period: LivePeriod) -> dict[str, float]:
    """Return the contract sizes of open positions, for what is quoted in the account's currency."""
    state = BrokerState.objects.filter(account=period.account).first()
    return {row["symbol"]: float(row["contract_size"]) for row in state.positions} if state else {}


def _by_booked_profit(period: LivePeriod) -> dict[str, float]:
    """Return what closed positions gained a lot and a unit of price: of each symbol the one that moved most."""
    values: dict[str, float] = {}
    opened = {fill.position_id: fill for fill in period.fills if fill.entry == "in"}
    for fill in sorted(period.fills, key=lambda fill: abs(fill.profit)):
        entry = opened.get(fill.position_id)
        if fill.entry in CLOSING and entry is not None and fill.price != entry.price:
            moved = (fill.price - entry.price) * SIGNS[entry.side]
            values[fill.symbol] = float(fill.profit / (moved * fill.volume))
    return values


def _deals(period: LivePeriod, values: Mapping[str, float]) -> Iterator[Deal]:
    """Yield the fills as deals; whose a position is, and whether its opening is stored, its first fill says."""
    from strategies.research.courses import Deal

    asked, first = _asked_prices(period.account), dict[int, FillRecord]()
    for fill in period.fills:
        opening = first.setdefault(fill.position_id, fill)
        yield Deal(
            at=fill.at,
            symbol=fill.symbol,
            lots=float(fill.volume) * SIGNS[fill.side],
            price=float(fill.price),
            swap=float(fill.swap),
            commission=float(fill.commission + fill.fee),
            unopened=float(fill.profit) if opening.entry in CLOSING else None,
            is_ours=opening.intent_id is not None or is_ours(opening.magic),
            **_hidden_costs(fill, asked.get(fill.order_id), values.get(fill.symbol, 0.0)),
        )


def _hidden_costs(fill: FillRecord, asked: float | None, lot_value: float) -> dict[str, float]:
    """Return what a fill's price hides: its decision kept the middle of the quote, its request what was asked for."""
    decision = fill.intent.decision if fill.intent else None
    if decision is None or not decision.sizing or asked is None:
        return {}
    toward = SIGNS[fill.side] * float(fill.volume) * lot_value
    mid = float(decision.sizing["price"])
    return {"spread": toward * (asked - mid), "slippage": toward * (float(fill.price) - asked)}


def _asked_prices(account: Account) -> dict[int, float]:
    """Return the price in the request of every order that the venue numbered."""
    replies = Attempt.objects.filter(leg__intent__account=account, retcode__isnull=False).values_list(
        "reply", flat=True
    )
    asked: dict[int, float] = {}
    for reply in replies:
        order, price = (_part(reply, part).get(name) for part, name in (("reply", "order"), ("request", "price")))
        if isinstance(order, int) and order > 0 and isinstance(price, int | float) and price > 0:
            asked[order] = float(price)
    return asked


def _part(reply: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = reply.get(name)
    return part if isinstance(part, dict) else {}


def _wishes(account: Account, symbol: str) -> Iterator[Wish]:
    """Yield what models wanted, from each decision on, or from its first fill if the venue's clock is behind."""
    from django.db.models import Min
    from django.db.models.functions import Coalesce, Least

    from strategies.research.booked import Wish
    from strategies.research.pnl import ModelName

    filled = Coalesce(Min("intents__fills__at"), "market_at")
    rows = Decision.objects.filter(account=account, symbol=symbol).annotate(since=Least(filled, "market_at"))
    for row in rows.order_by("since", "pk"):
        if row.positions:
            wanted = {ModelName(one["strategy"], one["variant"]): float(one["position_pct"]) for one in row.positions}
            yield Wish(row.since, wanted)


def _closes(period: LivePeriod) -> pd.DataFrame:
    """Return the broker's closes by the time of the close, and at the end what positions would close at."""
    import pandas as pd

    from market.intervals import INTERVAL_MS

    hour = pd.Timedelta(milliseconds=INTERVAL_MS["1h"])
    limit = int((period.last.at - period.first.at) / hour) + SPARE_BARS
    columns = {}
    for symbol in period.symbols:
        bars = read_mtbars(symbol, limit, until=period.last.at)
        columns[symbol] = bars["close"].set_axis(bars.index + hour)
    closes = pd.DataFrame(columns, index=pd.DatetimeIndex([], tz="UTC") if not columns else None)
    if period.last.prices:
        now = pd.DataFrame(period.last.prices, index=pd.DatetimeIndex([period.last.at]))
        closes = pd.concat([closes, now]).sort_index()
    return closes
