"""Faults of a symbol's contract: another grid, other distances, another mode, another symbol."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from simulator import constants as mt5
from simulator.faults.asked import is_open, refuse
from simulator.faults.base import Fault
from simulator.faults.call import MarketView, viewed
from simulator.faults.names import ORDERS, SYMBOLS
from simulator.money import exact
from simulator.symbol_readings import symbol_info
from simulator.symbols import SimSymbol

if TYPE_CHECKING:
    from simulator.faults.call import Call

MODES = {
    "close only": mt5.SYMBOL_TRADE_MODE_CLOSEONLY,
    "long only": mt5.SYMBOL_TRADE_MODE_LONGONLY,
    "short only": mt5.SYMBOL_TRADE_MODE_SHORTONLY,
    "disabled": mt5.SYMBOL_TRADE_MODE_DISABLED,
}
SPEC_FIELDS = frozenset(one.name for one in fields(SimSymbol))


def changed_terms(call: Call) -> Any:
    """Show the parameters as the symbol's specification, and hold orders to it."""
    given = {name: value for name, value in call.begun.parameters.items() if value is not None and name in SPEC_FIELDS}
    account = call.account
    spec = account.market.symbols.get(call.symbol or "")
    if spec is None:
        return call.go()
    call.note(", ".join(f"{name} {value}" for name, value in given.items()))
    with viewed(account, MarketView(account.market, spec=replace(spec, **given))):
        return call.go()


def volume_limit(call: Call) -> Any:
    """Show a limit of volume, and refuse what would go beyond it; or another grid."""
    limit = call.begun.parameters["volume_limit"]
    if limit is None:
        return changed_terms(call)
    if call.name == "symbol_info":
        return call.go()._replace(volume_limit=limit)
    held = sum((p.volume for p in call.account.ledger.positions() if p.symbol == call.symbol), exact(0.0))
    if is_open(call) and held + exact(call.request.volume) > exact(limit):
        return refuse(call, mt5.TRADE_RETCODE_LIMIT_VOLUME)
    return call.go()


def restricted(call: Call) -> Any:
    """Put the symbol into another trade mode for as long as the call takes."""
    account, name, mode = call.account, call.symbol or "", call.parameter("mode")
    before = account.trade_modes.get(name)
    if before is None:
        return call.go()
    call.note(mode)
    account.trade_modes[name] = MODES[mode]
    try:
        return call.go()
    finally:
        account.trade_modes[name] = before


def other_contract(call: Call) -> Any:
    """Show another contract than the one that is dealt in."""
    shown = {name: value for name, value in call.begun.parameters.items() if value is not None}
    info = call.go()
    if info is None:
        return None
    call.note(", ".join(f"{name} {value}" for name, value in shown.items()))
    return info._replace(**shown)


def similar_symbol(call: Call) -> Any:
    """List a second symbol beside each, with a suffix and another contract, and know it when asked."""
    suffix, size = call.parameter("suffix"), call.parameter("contract_size")
    if call.name == "symbols_get":
        rows = call.go()
        return None if rows is None else (*rows, *(_twin(row, suffix, size) for row in rows))
    name = (call.symbol or "").removesuffix(suffix)
    if name == call.symbol or name not in call.account.market.symbols:
        return call.go()
    return _twin(symbol_info(call.account, name, selected=False), suffix, size)


def lists_or_unknown(call: Call) -> bool:
    """Return whether symbols are listed, or one is asked for that the server does not trade."""
    return call.name == "symbols_get" or call.symbol not in call.account.market.symbols


def _twin(row: Any, suffix: str, size: float) -> Any:
    name = row.name + suffix
    return row._replace(name=name, path=row.path + suffix, trade_contract_size=size, visible=False, select=False)


def unselected(call: Call) -> Any:
    """Take the symbol out of Market Watch before the call."""
    call.server.selected.discard(call.symbol or "")
    return call.go()


FAULTS = (
    Fault(
        id="M28",
        does="symbol_info() shows these filling bits and execution, and orders are held to them: 10030",
        calls=("symbol_info", *ORDERS),
        play=changed_terms,
        parameters={"filling_mode": 1, "trade_exemode": None},
        lasts_s=3600.0,
        per_symbol=True,
    ),
    Fault(
        id="M29",
        does="symbol_info() shows this grid or limit, and orders are held to it: 10014, or 10034 beyond `volume_limit`",
        calls=("symbol_info", *ORDERS),
        play=volume_limit,
        parameters={"volume_min": 1.0, "volume_step": None, "volume_max": None, "volume_limit": None},
        lasts_s=3600.0,
        per_symbol=True,
    ),
    Fault(
        id="M30",
        does="symbol_info() shows a volume step that floats cannot add up, and orders are held to it: 10014",
        calls=("symbol_info", *ORDERS),
        play=changed_terms,
        parameters={"volume_step": 0.03},
        lasts_s=3600.0,
        per_symbol=True,
    ),
    Fault(
        id="M31",
        does="symbol_info() shows this stops level in points, and orders are held to it: 10016",
        calls=("symbol_info", *ORDERS),
        play=changed_terms,
        parameters={"stops_level": 1_000_000},
        lasts_s=3600.0,
        per_symbol=True,
    ),
    Fault(
        id="M32",
        does="symbol_info() shows this freeze level in points; inside it stops and closes are answered 10029",
        calls=("symbol_info", *ORDERS),
        play=changed_terms,
        parameters={"freeze_level": 10_000_000},
        lasts_s=3600.0,
        per_symbol=True,
    ),
    Fault(
        id="M39",
        does="the symbol's trade mode is 'close only', 'long only', 'short only' or 'disabled': 10044, 10042, 10043, "
        "10017",
        calls=("symbol_info", *ORDERS),
        play=restricted,
        parameters={"mode": "close only"},
        lasts_s=3600.0,
        per_symbol=True,
    ),
    Fault(
        id="M48",
        does="symbols_get() lists each symbol once more with a suffix and another contract; symbol_info() knows them",
        calls=SYMBOLS,
        play=similar_symbol,
        parameters={"suffix": "m", "contract_size": 100.0},
        lasts_s=86_400.0,
        applies=lists_or_unknown,
    ),
    Fault(
        id="M49",
        does="symbol_info() shows another contract size, tick value or currency; fills go on as before",
        calls=("symbol_info",),
        play=other_contract,
        parameters={"trade_contract_size": 100.0, "trade_tick_value": None, "currency_profit": None},
        lasts_s=3600.0,
        per_symbol=True,
    ),
    Fault(
        id="M50",
        does="the symbol is out of Market Watch until it is selected again; its tick is None with -4",
        calls=("symbol_info", "symbol_info_tick"),
        play=unselected,
        per_symbol=True,
    ),
)
