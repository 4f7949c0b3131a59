"""The tables of a tear sheet, from what a backtest stored and what was worked out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np

from strategies.research.charts import writing
from strategies.research.charts.tables import Cell, Table, cell_of, heading, rows_of
from strategies.research.costs import COST_KINDS
from strategies.research.pnl import CENT, Decomposition, PnlRow, cents, largest_remainder
from strategies.research.simulation import Simulation

YEAR = "a year of 365 days"
# Name in the metrics, what it is called with its unit, and how it is written.
FIGURES: tuple[tuple[str, str, str], ...] = (
    ("total_return", "Total return, compounded", "gain"),
    ("cagr", f"CAGR, {YEAR}", "gain"),
    ("volatility", f"Volatility, {YEAR}", "percent"),
    ("sharpe", f"Sharpe ratio, {YEAR}, riskless rate 0", "ratio"),
    ("sortino", f"Sortino ratio, {YEAR}", "ratio"),
    ("calmar", f"Calmar ratio, {YEAR}", "ratio"),
    ("max_drawdown", "Largest drawdown, of the high", "percent"),
    ("max_drawdown_bars", "It lasted, hours", "count"),
    ("longest_drawdown_bars", "Longest drawdown, hours", "count"),
    ("var_95", "Value at risk 95 %, of one hour", "percent"),
    ("cvar_95", "Mean beyond it, of one hour", "percent"),
    ("hit_rate", "Winning hours, of those that moved", "percent"),
    ("profit_factor", "Profit factor, by hours", "ratio"),
    ("tail_ratio", "Tail ratio, 95 % over 5 %", "ratio"),
    ("turnover", "Traded a day, multiples of equity", "ratio"),
    ("exposure", "Mean exposure, of equity", "percent"),
    ("time_in_market", "Time in the market", "percent"),
    ("trades", "Trades", "count"),
    ("fills", "Fills", "count"),
    ("n_bars", "Steps measured", "count"),
)
DIMENSIONS = {
    "symbol": "Symbol",
    "strategy": "Strategy",
    "model": "Model",
    "side": "Side",
    "weekday": "Weekday, UTC",
    "hour": "Hour, UTC",
}


def figures_table(whole: Mapping[str, Any], samples: Mapping[str, Any]) -> Table:
    """Return the figures of all of the time, beside those of the time that models were fitted on and of the time after.

    What is missing or undefined is ``—``.
    """
    parts = {
        "In-sample": samples.get("in_sample"),
        "Out-of-sample": samples.get("out_of_sample"),
        "All": whole,
    }
    known = {name: part for name, part in parts.items() if part is not None}
    rows = tuple(
        (heading(label), *(cell_of(part.get(name), kind) for part in known.values())) for name, label, kind in FIGURES
    )
    return Table(caption="Figures after costs", head=("Figure", *known), rows=rows)


def booked_total(costs: Mapping[str, float], net: float) -> PnlRow:
    """Return costs in whole cents that add up, and the gross that leaves ``net``, for a sheet without a ledger."""
    paid = np.array([costs.get(kind, 0.0) for kind in COST_KINDS])
    whole = largest_remainder(paid, cents(float(paid.sum())))
    amounts = {kind: int(amount) * CENT for kind, amount in zip(COST_KINDS, whole, strict=True)}
    return PnlRow(label="total", gross=cents(net) * CENT + sum(amounts.values(), Decimal(0)), **amounts)


def costs_table(total: PnlRow, *, currency: str, start: float) -> Table:
    """Return the way from what positions earned to what is left, to the cent."""
    steps = [("Gross, before costs", total.gross), *((kind.capitalize(), -getattr(total, kind)) for kind in COST_KINDS)]
    rows = tuple((heading(name), *_amount(amount, start)) for name, amount in steps)
    return Table(
        caption="Costs by kind",
        head=("", f"Amount, {currency}", "Of the start"),
        rows=rows,
        foot=(heading("Net"), *_amount(total.net, start)),
    )


def _amount(amount: Decimal, start: float) -> tuple[Cell, Cell]:
    return cell_of(amount, "change"), cell_of(float(amount) / start if start else None, "gain")


def drawdowns_table(drawdowns: Sequence[Mapping[str, Any]]) -> Table:
    """Return the worst drawdowns as metrics list them, the deepest first."""
    values = [
        (
            place,
            one["depth"],
            datetime.fromisoformat(one["start"]),
            datetime.fromisoformat(one["trough"]),
            datetime.fromisoformat(one["end"]) if one["end"] else None,
            one["bars"],
        )
        for place, one in enumerate(drawdowns, start=1)
    ]
    return Table(
        caption="Worst drawdowns",
        head=("No.", "Depth", "Began, UTC", "Lowest, UTC", "Recovered, UTC", "Hours"),
        rows=rows_of(values, ("count", "percent", "moment", "moment", "moment", "count")),
        note="— under Recovered: not yet.",
    )


def decomposition_table(part: Decomposition, *, currency: str) -> Table:
    """Return a decomposition with its total; a kind of cost that nothing was paid of is left out."""
    kinds = [kind for kind in COST_KINDS if getattr(part.total, kind) or any(getattr(row, kind) for row in part.rows)]
    names = ("gross", *kinds, "costs", "net")
    name = DIMENSIONS[part.by]
    return Table(
        caption=f"By {name[0].lower()}{name[1:]}, {currency}",
        head=(name, *(column.capitalize() for column in names)),
        rows=tuple(_pnl_cells(row, names) for row in part.rows),
        foot=_pnl_cells(part.total, names),
    )


def _pnl_cells(row: PnlRow, names: Sequence[str]) -> tuple[Cell, ...]:
    """Return amounts that were earned with their sign, and costs as what was paid."""
    signed = ("gross", "net")
    return (
        heading(row.label.capitalize() if row.label in ("total", "long", "short") else row.label),
        *(cell_of(getattr(row, name), "change" if name in signed else "money") for name in names),
    )


def chances_table(simulation: Simulation) -> Table:
    """Return how often simulated paths met what the rules are about."""
    rules = simulation.rules
    largest = simulation.trailing_loss if rules.is_trailing else simulation.max_loss
    lines = (
        ("Daily loss limit met", rules.daily_loss, simulation.daily_loss),
        ("Largest loss met", rules.max_loss, largest),
        ("Target reached at all", rules.target, simulation.target),
        ("Target reached before a limit", rules.target, simulation.passed),
        ("A limit met before the target", rules.max_loss or rules.daily_loss, simulation.failed),
    )
    rows = tuple(
        (heading(name), cell_of(limit, "percent"), cell_of(chance.value, "percent"), cell_of(chance.error, "percent"))
        for name, limit, chance in lines
        if limit is not None
    )
    return Table(caption="Chances", head=("Event", "At, of the start", "Share of paths", "Standard error"), rows=rows)


def config_table(config: Mapping[str, Any]) -> Table:
    """Return a configuration by dotted paths."""
    rows = tuple((heading(path), Cell(text, is_number=False)) for path, text in _flat(config))
    return Table(caption="Configuration", head=("Setting", "Value"), rows=rows)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield what stands at each path; an inner mapping of nothing but plain values is one line."""
    if isinstance(value, Mapping) and value and (not path or any(map(_has_parts, value.values()))):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and any(map(_has_parts, value)):
        for place, inner in enumerate(value):
            yield from _flat(inner, f"{path}.{place}")
    else:
        yield path, _plain(value)


def _has_parts(value: Any) -> bool:
    return isinstance(value, Mapping | list) and bool(value)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        value = [f"{name} {_plain(inner)}" for name, inner in value.items()]
    if isinstance(value, list):
        return ", ".join(map(str, value)) or writing.UNKNOWN
    return writing.UNKNOWN if value is None else str(value)
