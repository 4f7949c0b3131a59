"""What our own fills say that trading costs, beside what is assumed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings

from execution.models import Attempt, FillRecord

if TYPE_CHECKING:
    from strategies.research.costs import LearnedCosts, ObservedFill

SIGNS = {"buy": 1, "sell": -1}


@dataclass(frozen=True, slots=True)
class Learned:
    """What a symbol's fills say, and how many there are."""

    n_fills: int
    costs: LearnedCosts


def learned_from(symbols: Sequence[str]) -> dict[str, Learned]:
    """Return what the fills of each symbol say, of orders of ours in this mode: a demo's say nothing of a broker."""
    from strategies.research.costs import learned_from_fills

    observed = {name: list(observed_fills(name)) for name in symbols}
    return {name: Learned(len(own), learned_from_fills(own)) for name, own in observed.items()}


def observed_fills(symbol: str) -> Iterator[ObservedFill]:
    """Yield a symbol's fills beside the quote that each was decided on and the price that it was asked for at.

    A fill without a decision (a close by hand, a kill) is left out: nobody wrote down the quote and a lot's worth.
    """
    fills = FillRecord.objects.filter(symbol=symbol, intent__mode=settings.TRADING_MODE, volume__gt=0)
    asked = _asked_prices(symbol)
    for fill in fills.select_related("intent__decision"):
        observed = _observed(fill, asked.get(fill.order_id))
        if observed is not None:
            yield observed


def _asked_prices(symbol: str) -> dict[int, float]:
    """Return the price in the request of every order that the venue numbered: its ask for a buy, its bid for a sale."""
    replies = Attempt.objects.filter(leg__intent__symbol=symbol, retcode__isnull=False).values_list("reply", flat=True)
    prices = {}
    for reply in replies:
        order = _part(reply, "reply").get("order")
        price = _part(reply, "request").get("price")
        if isinstance(order, int) and order > 0 and isinstance(price, int | float) and price > 0:
            prices[order] = float(price)
    return prices


def _part(reply: dict[str, Any], name: str) -> dict[str, Any]:
    part = reply.get(name)
    return part if isinstance(part, dict) else {}


def _observed(fill: FillRecord, asked: float | None) -> ObservedFill | None:
    """Return a fill as costs are learned from it; None without a decision."""
    from strategies.research.costs import ObservedFill

    decision = fill.intent.decision if fill.intent else None
    sizing = decision.sizing if decision else {}
    if not sizing:
        return None
    mid = float(sizing["price"])
    contract = float(sizing["contract_value"]) / mid  # account currency a lot, for each unit of price
    return ObservedFill(
        side=SIGNS[fill.side],
        price=float(fill.price),
        coins=float(fill.volume) * contract,
        commission=-float(fill.commission + fill.fee),
        mid=mid if asked else None,
        planned=asked,
    )


def compared(symbols: Sequence[str], assumed: Any = None) -> list[dict[str, Any]]:
    """Return each symbol's rates: assumed, learned with quartiles and count, and the one that a backtest takes.

    ``used`` is the learned rate once there are enough fills, with ``--costs learned``.
    """
    from strategies.backtesting.requests import assumed_costs

    rates = assumed or assumed_costs()
    rows = []
    for symbol, learned in learned_from(symbols).items():
        used = learned.costs.applied_to(rates)
        rows += [
            {
                "symbol": symbol,
                "name": one.name,
                "assumed": one.assumed,
                "learned": one.learned.value if one.learned else None,
                "low": one.learned.low if one.learned else None,
                "high": one.learned.high if one.learned else None,
                "count": one.learned.count if one.learned else 0,
                "used": getattr(used, one.name),
            }
            for one in learned.costs.beside(rates)
        ]
    return rows
