"""Small fits for tests: stored bars of a symbol, and a plan with windows of a few bars."""

from __future__ import annotations

import io
import json
from typing import Any

import pandas as pd
from django.core.management import CommandError, call_command

from market.models import Bar, Kline, Symbol
from strategies.models import PlanRow
from tests.bars_builders import make_bars

SMALL = {"vol_window": 20, "min_values": 30}
EMA = SMALL | {"fast_ema_window": 5}


def make_symbol(name: str = "BTCUSD", *, n_bars: int = 300, seed: int = 0, binance: bool = True) -> Symbol:
    """Return a traded symbol with ``n_bars`` stored hours of a random walk."""
    symbol = Symbol.objects.create(name=name, binance_symbol=f"{name}T" if binance else "")
    if n_bars:
        store_bars(symbol, make_bars(seed, n_bars))
    return symbol


def store_bars(symbol: Symbol, bars: pd.DataFrame) -> None:
    """Store bars as the broker's rates and, for a symbol that Binance lists, as klines."""
    rates, klines = [], []
    opened = pd.DatetimeIndex(bars.index).as_unit("ms").asi8
    for open_ms, bar in zip(opened, bars.to_dict("records"), strict=True):
        prices = {name: bar[name] for name in ("open", "high", "low", "close")}
        common = prices | {"interval": "1h", "open_ms": int(open_ms)}
        rates.append(Bar(symbol=symbol.name, tick_volume=int(bar["tick_volume"]), **common))
        volumes = {"volume": bar["volume"], "taker_buy_base_volume": bar["taker_buy_base_vol"]}
        klines.append(Kline(symbol=symbol.binance_symbol, **volumes, **common))
    Bar.objects.bulk_create(rates)
    if symbol.binance_symbol:
        Kline.objects.bulk_create(klines)


def plan_row(strategy: str = "ema_vol", params: dict[str, Any] | None = None, **fields: Any) -> PlanRow:
    """Return a stored row of the plan; a small ``ema_vol`` of 10 % unless told otherwise."""
    return PlanRow.objects.create(
        strategy=strategy, params=EMA if params is None else params, **({"strat_weight": 0.1} | fields)
    )


def run_command(name: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Return exit code, JSON document and stderr of a command run with ``--json``."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(name, *arguments, "--json", stdout=out, stderr=err)
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    except CommandError as error:
        code = error.returncode
    text = out.getvalue()
    return code, json.loads(text) if text else {}, err.getvalue()
