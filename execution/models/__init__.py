"""What we did, and what we are allowed to do."""

from execution.models.control import ControlRow, KillEvent
from execution.models.ledger import Account, BrokerState, EquityPoint, FillRecord
from execution.models.limits import DayStart, LimitRow
from execution.models.orders import Attempt, Decision, Intent, LegRecord
from execution.models.portfolio import PortfolioWeight, RebalanceSettings

__all__ = [
    "Account",
    "Attempt",
    "BrokerState",
    "ControlRow",
    "DayStart",
    "Decision",
    "EquityPoint",
    "FillRecord",
    "Intent",
    "KillEvent",
    "LegRecord",
    "LimitRow",
    "PortfolioWeight",
    "RebalanceSettings",
]
