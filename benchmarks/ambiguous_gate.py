"""The gate with limits and budgets that are given, not read: a third of the time, and no part of what doubt decides."""

from __future__ import annotations

from decimal import Decimal

from execution.models import LegRecord
from execution.safety.gate import Gate, Terms, read_ages
from execution.safety.reads import VenueReads, possible_exposure
from execution.safety.risk import Limits, LossBudget, LossKind, RequestCounts, RiskContext
from ops import clock

LIMITS = Limits(max_positions=Decimal(200))
BUDGETS = tuple(
    LossBudget(kind=kind, start=Decimal(100_000), floor=Decimal(90_000), soft_line=Decimal("0.8")) for kind in LossKind
)


class QuickGate(Gate):
    """Every rule is asked, on the venue's reads and the exposure that is possible."""

    def _context(self, leg: LegRecord, terms: Terms, reads: VenueReads) -> RiskContext:
        now = clock.market_now()
        return RiskContext(
            limits=LIMITS,
            account=reads.account,
            expected_login=self.account.login,
            expected_server=self.account.server,
            spec=reads.spec,
            quote=reads.quote,
            rate=terms.rate,
            capital_per_asset=terms.capital_per_asset,
            exposure=possible_exposure(self.broker, reads, ticket=leg.ticket),
            counts=RequestCounts(orders_last_minute=0, orders_today=0, requests_today=0),
            ages=read_ages(reads, now),
            is_bar_closed=True,
            is_bar_fresh=True,
            budgets=BUDGETS,
            market_at=now,
        )
