"""The futures' settings: position mode, leverage, margin type, and what follows from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.binance import futures_replies as replies
from simulator.binance.refusals import refusal
from simulator.binance.routes import SignedRoute
from simulator.binance.rows import ALGO, FUTURES
from simulator.binance.rules import MAKER, MAX_LEVERAGE, TAKER
from simulator.binance.spot_api import Reply
from simulator.exchange_errors import BinanceError

if TYPE_CHECKING:
    from simulator.binance.params import Params
    from simulator.binance.venue import Venue

MARGIN_TYPES = frozenset({"ISOLATED", "CROSSED"})
DONE = {"code": 200, "msg": "success"}


class FuturesSettingsApi:
    """What the endpoints need; each takes the parameters and returns what is sent as JSON."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def dual_side(self, params: Params) -> Reply:
        """Tell whether longs and shorts are held beside each other."""
        return {"dualSidePosition": self.venue.futures.hedging}

    def set_dual_side(self, params: Params) -> Reply:
        """Change between one-way and hedge mode; only while nothing is open."""
        params.text("dualSidePosition")
        wanted = params.flag("dualSidePosition")
        if wanted == self.venue.futures.hedging:
            raise refusal("side same")
        if any(order.venue in (FUTURES, ALGO) for order in self.venue.books.open_orders()):
            raise refusal("side orders")
        if self.venue.futures.open_positions():
            raise refusal("side open")
        self.venue.books.set_setting("dual side", str(wanted).lower())
        return DONE

    def set_leverage(self, params: Params) -> Reply:
        """Set a symbol's leverage; -2028 when the positions need more margin than there is."""
        symbol, leverage = self._symbol(params), params.whole("leverage")
        params.text("leverage")
        if leverage is None or not 1 <= leverage <= MAX_LEVERAGE:
            raise refusal("leverage", value=leverage)
        self.venue.books.set_setting(f"leverage {symbol}", leverage)
        if self.venue.futures.open_positions() and self.venue.futures.available() < 0:
            raise BinanceError(-2028, "Leverage is smaller than permitted: insufficient margin balance")
        return {"leverage": leverage, "maxNotionalValue": replies.MAX_NOTIONAL, "symbol": symbol}

    def set_margin_type(self, params: Params) -> Reply:
        """Set a symbol's margin type; only while nothing of it is open."""
        symbol, kind = self._symbol(params), params.choice("marginType", MARGIN_TYPES)
        if kind == self.venue.futures.margin_type(symbol):
            raise refusal("margin type same")
        if any(order.venue in (FUTURES, ALGO) for order in self.venue.books.open_orders(symbol=symbol)):
            raise refusal("margin type orders")
        if any(position.symbol == symbol for position in self.venue.futures.open_positions()):
            raise refusal("margin type open")
        self.venue.books.set_setting(f"margin type {symbol}", kind)
        return DONE

    def symbol_config(self, params: Params) -> list[Reply]:
        """List leverage and margin type of one symbol or of all."""
        symbols = [self._symbol(params)] if params.has("symbol") else self.venue.listed()
        return [
            {
                "symbol": symbol,
                "marginType": self.venue.futures.margin_type(symbol),
                "isAutoAddMargin": False,
                "leverage": self.venue.futures.leverage(symbol),
                "maxNotionalValue": replies.MAX_NOTIONAL,
            }
            for symbol in symbols
        ]

    def brackets(self, params: Params) -> list[Reply]:
        """List the leverage brackets."""
        symbols = [self._symbol(params)] if params.has("symbol") else self.venue.listed()
        return [replies.leverage_brackets(symbol) for symbol in symbols]

    def commission_rate(self, params: Params) -> Reply:
        """Tell what a symbol's trades cost."""
        rates = {"makerCommissionRate": replies.plain(MAKER), "takerCommissionRate": replies.plain(TAKER)}
        return {"symbol": self._symbol(params), **rates}

    def multi_assets(self, params: Params) -> Reply:
        """Tell that only USDT is collateral."""
        return {"multiAssetsMargin": False}

    def _symbol(self, params: Params) -> str:
        return self.venue.rule(FUTURES, params.text("symbol")).symbol


def settings_routes(api: FuturesSettingsApi) -> dict[tuple[str, str], SignedRoute]:
    """Return the settings' part of the handler table, with Binance's weights."""
    path = "/fapi/v1"
    return {
        ("GET", f"{path}/positionSide/dual"): SignedRoute(api.dual_side, 30),
        ("POST", f"{path}/positionSide/dual"): SignedRoute(api.set_dual_side, 1),
        ("POST", f"{path}/leverage"): SignedRoute(api.set_leverage, 1),
        ("POST", f"{path}/marginType"): SignedRoute(api.set_margin_type, 1),
        ("GET", f"{path}/symbolConfig"): SignedRoute(api.symbol_config, 5),
        ("GET", f"{path}/leverageBracket"): SignedRoute(api.brackets, 1),
        ("GET", f"{path}/commissionRate"): SignedRoute(api.commission_rate, 20),
        ("GET", f"{path}/multiAssetsMargin"): SignedRoute(api.multi_assets, 30),
    }
