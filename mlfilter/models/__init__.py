"""What the setup bot is set to, which setups it saw, what became of them, and what was tried, as rows."""

from mlfilter.models.backtests import SetupBacktest
from mlfilter.models.settings import BotSettings, current_settings
from mlfilter.models.setups import Outcome, Setup
from mlfilter.models.symbols import BotSymbol

__all__ = ["BotSettings", "BotSymbol", "Outcome", "Setup", "SetupBacktest", "current_settings"]
