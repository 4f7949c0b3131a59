"""The public futures endpoints: the spot market's prices, told as contracts, and the funding."""

from __future__ import annotations

from typing import Any

from simulator.binance.rules import futures_info
from simulator.exchange_outside import OutsideApi
from simulator.exchange_public import PublicApi
from simulator.exchange_routes import Query, Route


class FuturesPublicApi(PublicApi):
    """What the endpoints need; those that are as at the spot market are inherited."""

    def exchange_info(self, query: Query) -> dict[str, Any]:
        """Tell the rules of all symbols."""
        return futures_info(self.market, self.clock.now_ms())

    def premium_index(self, query: Query) -> dict[str, Any] | list[dict[str, Any]]:
        """Tell mark price and funding of one symbol or of all."""
        outside = OutsideApi(self.market, self.clock)
        if query.get("symbol"):
            return outside.premium_index(query)
        symbols = [self.market.symbols[name].binance_symbol for name in self._chosen(query)]
        return [outside.premium_index({"symbol": symbol}) for symbol in symbols]

    def book_ticker(self, query: Query) -> dict[str, Any] | list[dict[str, Any]]:
        """Tell the best bid and ask of one symbol or of all."""
        now_ms = self.clock.now_ms()
        told = [one | {"time": now_ms} for one in self.tickers(query)]
        return told[0] if query.get("symbol") else told

    def ticker_price(self, query: Query) -> Any:
        """Tell the last price of one symbol or of all."""
        now_ms, told = self.clock.now_ms(), super().ticker_price(query)
        return told | {"time": now_ms} if isinstance(told, dict) else [one | {"time": now_ms} for one in told]

    def depth(self, query: Query) -> dict[str, Any]:
        """List the order book."""
        now_ms = self.clock.now_ms()
        return {**super().depth(query), "E": now_ms, "T": now_ms}


def no_such_contracts(query: Query) -> dict[str, Any]:
    """Tell that there are no coin-margined contracts."""
    return {"timezone": "UTC", "rateLimits": [], "exchangeFilters": [], "symbols": []}


def system_status(query: Query) -> dict[str, Any]:
    """Tell that the exchange works."""
    return {"status": 0, "msg": "normal"}


def futures_public_routes(api: FuturesPublicApi) -> dict[tuple[str, str], Route]:
    """Return the public futures part of the handler table, with Binance's weights."""
    path = "/fapi/v1"
    return {
        ("GET", f"{path}/ping"): Route(api.ping, 1),
        ("GET", f"{path}/time"): Route(api.time, 1),
        ("GET", f"{path}/exchangeInfo"): Route(api.exchange_info, 1),
        ("GET", f"{path}/klines"): Route(api.klines, _klines_weight),
        ("GET", f"{path}/trades"): Route(api.trades, 5),
        ("GET", f"{path}/aggTrades"): Route(api.agg_trades, 20),
        ("GET", f"{path}/depth"): Route(api.depth, 10),
        ("GET", f"{path}/ticker/price"): Route(api.ticker_price, 1),
        ("GET", f"{path}/ticker/bookTicker"): Route(api.book_ticker, 2),
        ("GET", f"{path}/ticker/24hr"): Route(api.day_ticker, lambda query: 1 if query.get("symbol") else 40),
        ("GET", f"{path}/premiumIndex"): Route(api.premium_index, 1),
        ("GET", "/dapi/v1/exchangeInfo"): Route(no_such_contracts, 1),
        ("GET", "/sapi/v1/system/status"): Route(system_status, 1),
    }


def _klines_weight(query: Query) -> int:
    limit = int(query["limit"]) if query.get("limit", "").isdecimal() else 500
    return next(weight for most, weight in ((99, 1), (499, 2), (1000, 5), (10**20, 10)) if limit <= most)
