"""From what a person types to what an engine is asked: what is not said is as the live settings have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from execution.learned_costs import learned_from
from execution.models import BrokerState, Decision, PortfolioWeight, RebalanceSettings
from execution.models.portfolio import FIXED_WEIGHTS
from execution.trading_venues import MT5
from market.symbols import chosen_symbols
from strategies.backtesting.requests import BacktestRequest, BacktestRequestError, assumed_costs
from strategies.models import Backtest

if TYPE_CHECKING:
    from strategies.research.costs import Costs
    from strategies.research.lots import LotRules, SymbolTerms

ASSUMED, LEARNED = COSTS = ("assumed", "learned")
# What the replay takes from the desk itself, and how each is said.
NOT_REPLAYED = {
    "windowed": "every session has its own window already",
    "sizing_capital": "it sizes as the settings say",
    "slippage": "its simulated broker fills at bid and ask",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestOptions:
    """What a person asks for, in plain values; None is as the live settings have it.

    Parameters
    ----------
    begin, end : str
        Hours in ISO 8601 with their offset: the slots of ``[begin, end)``.
    symbols : sequence of str
        Names; none means all traded ones.
    engine, source, refit_hours, windowed, note
        See ``BacktestRequest``.
    capital : float, optional
        What the account begins with.
    sizing_capital : float, optional
        What positions are sized from, as long as the equity is above it; the fast engine's alone.
    spread, slippage, commission, swap_long, swap_short : float, optional
        Fractions, see ``strategies.research.costs.Costs``.
    costs : {"assumed", "learned"}
        Whether what enough fills of our own show takes the place of what is assumed.
    """

    begin: str
    end: str
    symbols: Sequence[str] = ()
    engine: str = Backtest.Engine.FAST
    source: str = Backtest.Source.ACTIVE
    refit_hours: int = 720
    windowed: bool = False
    capital: float | None = None
    sizing_capital: float | None = None
    spread: float | None = None
    slippage: float | None = None
    commission: float | None = None
    swap_long: float | None = None
    swap_short: float | None = None
    costs: str = ASSUMED
    note: str = ""

    def request(self) -> BacktestRequest:
        """Return what an engine is asked.

        Raises
        ------
        BacktestRequestError, ParameterError
            For what makes no sense, or what the engine cannot do.
        UnknownSymbolError
        """
        if self.engine == Backtest.Engine.REPLAY:
            self._require_replayable()
        settings = RebalanceSettings.current()
        symbols = [symbol.name for symbol in chosen_symbols(list(self.symbols))]
        costs, warnings = self._costs(symbols)
        return BacktestRequest(
            symbols=tuple(symbols),
            begin=datetime.fromisoformat(self.begin),
            end=datetime.fromisoformat(self.end),
            source=self.source,
            refit_hours=self.refit_hours,
            is_windowed=self.windowed,
            history_hours=settings.max_history_hours,
            start=_start(settings) if self.capital is None else self.capital,
            fixed=_fixed(settings) if self.sizing_capital is None else self.sizing_capital,
            terms=self._terms(costs, settings),
            early_hour=settings.early_hour if settings.early_hour < 24 else None,
            note=self.note,
            warnings=(*warnings, *self._simplified(settings)),
        )

    def _require_replayable(self) -> None:
        if self.source != Backtest.Source.ACTIVE:
            raise BacktestRequestError(f"the replay trades the active models, not the {self.source}: use --engine fast")
        if self.costs != ASSUMED:
            raise BacktestRequestError("the replay's broker has one set of costs for all symbols: use --engine fast")
        for name, why in NOT_REPLAYED.items():
            given = getattr(self, name)
            if given is not None and given is not False:  # 0 is given
                raise BacktestRequestError(f"the replay takes no --{name.replace('_', '-')}: {why}")

    def _costs(self, symbols: Sequence[str]) -> tuple[dict[str, Costs], list[str]]:
        """Return each symbol's costs, and what of them could not be learned."""
        from strategies.research.costs import ENOUGH_FILLS

        assumed = assumed_costs(
            spread_fraction=self.spread,
            slippage=0.0 if self.engine == Backtest.Engine.REPLAY else self.slippage,
            commission_rate=self.commission,
            swap_long=self.swap_long,
            swap_short=self.swap_short,
        )
        if self.costs == ASSUMED:
            return dict.fromkeys(symbols, assumed), []
        learned = learned_from(symbols)
        short = [name for name, one in learned.items() if one.n_fills < ENOUGH_FILLS]
        warnings = [
            f"{name}: {learned[name].n_fills} fills of ours, {ENOUGH_FILLS} are needed: assumed costs" for name in short
        ]
        return {name: one.costs.applied_to(assumed) for name, one in learned.items()}, warnings

    def _terms(self, costs: Mapping[str, Costs], settings: RebalanceSettings) -> dict[str, SymbolTerms]:
        """Return how each symbol is traded: an equal share unless a person set one, on the grid of its broker."""
        from strategies.research.lots import SymbolTerms

        is_simulated = self.engine == Backtest.Engine.REPLAY  # by a broker with lots of one coin
        by_hand = dict(PortfolioWeight.objects.values_list("symbol__name", "weight"))
        return {
            name: SymbolTerms(
                lots=_lots({} if is_simulated else _grid(name), settings),
                costs=own,
                weight=float(by_hand.get(name, 1 / len(costs))),
            )
            for name, own in costs.items()
        }

    def _simplified(self, settings: RebalanceSettings) -> list[str]:
        """Say what the fast engine does not do as the desk does."""
        if self.engine == Backtest.Engine.REPLAY:
            return []
        simplified = []
        if settings.weighting != FIXED_WEIGHTS:
            simplified.append(f"symbols have their fixed weights, not those of {settings.weighting}")
        if settings.vol_target is not None:
            simplified.append("the volatility target is not applied")
        return simplified


def _start(settings: RebalanceSettings) -> float:
    """Return the sizing capital, or what the account has where positions are sized by that."""
    newest = BrokerState.objects.filter(account__broker=MT5).order_by("-read_at").first()
    if settings.size_by == RebalanceSettings.SizeBy.BALANCE and newest:
        return float(newest.balance)
    return float(settings.sizing_capital)


def _fixed(settings: RebalanceSettings) -> float | None:
    return None if settings.size_by == RebalanceSettings.SizeBy.BALANCE else float(settings.sizing_capital)


def _lots(grid: Mapping[str, Any], settings: RebalanceSettings) -> LotRules:
    """Return the rounding of the live sizing."""
    from strategies.research.lots import LotRules

    return LotRules(
        **grid,
        lot_precision=settings.lot_precision,
        max_position_pct=float(settings.max_position_pct),
        drift_band=float(settings.drift_band_lots),
    )


def _grid(symbol: str) -> dict[str, Any]:
    """Return a symbol's contract and volume step as last seen; nothing before its first decision."""
    sizings = Decision.objects.filter(symbol=symbol).exclude(sizing={}).values_list("sizing", flat=True)
    newest = sizings.first()
    if newest is None:
        return {}
    step = float(newest["volume_step"])
    return {
        # Worth of a lot over the price of a coin, which is off its true size by the rounding of a division.
        "contract_size": round(float(newest["contract_value"]) / float(newest["price"]), 12),
        "volume_step": step,
        "volume_min": step,  # no row knows the smallest volume; brokers of coins take one step
    }
