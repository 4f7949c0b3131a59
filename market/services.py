"""What the rest of the desk asks of the market."""

from __future__ import annotations

from market.contract_value import get_contract_value
from market.importing import import_file
from market.lookback import fetch_historical_data, get_recent_data, update_recent_trades
from market.outside_reading import outside_features, outside_status
from market.outside_updating import update_outside
from market.reading import joined_bars, read_klines, read_mtbars
from market.status import check_data, data_status
from market.symbols import default_symbols, get_binance_symbol, get_symbol
from market.updating import update_all_data, update_symbol

__all__ = [
    "check_data",
    "data_status",
    "default_symbols",
    "fetch_historical_data",
    "get_binance_symbol",
    "get_contract_value",
    "get_recent_data",
    "get_symbol",
    "import_file",
    "joined_bars",
    "outside_features",
    "outside_status",
    "read_klines",
    "read_mtbars",
    "update_all_data",
    "update_outside",
    "update_recent_trades",
    "update_symbol",
]
