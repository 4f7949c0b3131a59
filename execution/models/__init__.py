"""What we did, and what we are allowed to do."""

from execution.models.bot import BotTrade, SymbolOwner
from execution.models.control import ControlRow, KillEvent, VenueKill
from execution.models.ledger import Account, BrokerState, EquityPoint, FillRecord
from execution.models.limits import DayStart, LimitRow, QuietHoursRow
from execution.models.orders import Attempt, Decision, Intent, LegRecord
from execution.models.portfolio import PortfolioWeight, RebalanceSettings
from execution.models.programmes import Enrolment, FundedProgramme

__all__ = [
    "Account",
    "Attempt",
    "BotTrade",
    "BrokerState",
    "ControlRow",
    "DayStart",
    "Decision",
    "Enrolment",
    "EquityPoint",
    "FillRecord",
    "FundedProgramme",
    "Intent",
    "KillEvent",
    "LegRecord",
    "LimitRow",
    "PortfolioWeight",
    "QuietHoursRow",
    "RebalanceSettings",
    "SymbolOwner",
    "VenueKill",
]
