"""The few wallet endpoints that a trading client asks: what its key may do, and which coins there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.binance.routes import SignedRoute
from simulator.binance.rows import QUOTE_ASSET, SPOT, ZERO, Movement
from simulator.binance.rules import SPOT_COMMISSION

if TYPE_CHECKING:
    from simulator.binance.params import Params
    from simulator.binance.venue import Venue


class WalletApi:
    """What the endpoints need."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def restrictions(self, params: Params) -> dict[str, Any]:
        """Tell what the key may do: trade, and nothing else unless a test has let it withdraw."""
        books = self.venue.books
        return {
            "ipRestrict": books.setting("ip restrict", "true") == "true",
            "createTime": 1_767_571_200_000,
            "enableReading": True,
            "enableSpotAndMarginTrading": books.setting("may trade", "true") == "true",
            "enableWithdrawals": books.setting("may withdraw", "false") == "true",
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": books.setting("may trade", "true") == "true",
            "permitsUniversalTransfer": False,
            "enableVanillaOptions": False,
            "enablePortfolioMarginTrading": False,
        }

    def coins(self, params: Params) -> list[dict[str, Any]]:
        """List the coins, and what the account has of each."""
        balances, locked = self.venue.books.balances(SPOT), self.venue.spot.locked()
        assets = [QUOTE_ASSET, *(rules.base for rules in self.venue.rules[SPOT].values())]
        return [
            {
                "coin": asset,
                "name": asset,
                "depositAllEnable": True,
                "withdrawAllEnable": True,
                "free": f"{balances.get(asset, ZERO) - locked.get(asset, ZERO):.8f}",
                "locked": f"{locked.get(asset, ZERO):.8f}",
                "freeze": "0",
                "withdrawing": "0",
                "ipoing": "0",
                "ipoable": "0",
                "storage": "0",
                "isLegalMoney": False,
                "trading": True,
                "networkList": [],
            }
            for asset in assets
        ]

    def fees(self, params: Params) -> list[dict[str, Any]]:
        """List what trades cost at the spot market."""
        symbols = [params.text("symbol")] if params.has("symbol") else list(self.venue.rules[SPOT])
        rate = f"{SPOT_COMMISSION}"
        names = [self.venue.rule(SPOT, symbol).symbol for symbol in symbols]
        return [{"symbol": name, "makerCommission": rate, "takerCommission": rate} for name in names]

    def deposits(self, params: Params) -> list[dict[str, Any]]:
        """List what was paid into the spot wallet, newest first; of ``coin`` and from ``startTime`` on, if named."""
        coin, start_ms = params.given.get("coin"), params.whole("startTime") or 0
        paid = self.venue.books.select(Movement, venue=SPOT, kind="DEPOSIT")
        return [
            {
                "id": str(one.id),
                "amount": f"{one.amount:.8f}",
                "coin": one.asset,
                "status": 1,
                "insertTime": one.time_ms,
            }
            for one in reversed(paid)
            if coin in (None, one.asset) and one.time_ms >= start_ms
        ]

    def withdrawals(self, params: Params) -> list[dict[str, Any]]:
        """Tell that nothing was paid out: the key may not."""
        return []

    def margin_pairs(self, params: Params) -> list[dict[str, Any]]:
        """Tell that nothing is traded on margin."""
        return []


def wallet_routes(api: WalletApi) -> dict[tuple[str, str], SignedRoute]:
    """Return the wallet's part of the handler table."""
    return {
        ("GET", "/sapi/v1/account/apiRestrictions"): SignedRoute(api.restrictions, 1),
        ("GET", "/sapi/v1/capital/deposit/hisrec"): SignedRoute(api.deposits, 1),
        ("GET", "/sapi/v1/capital/withdraw/history"): SignedRoute(api.withdrawals, 1),
        ("GET", "/sapi/v1/capital/config/getall"): SignedRoute(api.coins, 10),
        ("GET", "/sapi/v1/asset/tradeFee"): SignedRoute(api.fees, 1),
        ("GET", "/sapi/v1/margin/allPairs"): SignedRoute(api.margin_pairs, 1),
        ("GET", "/sapi/v1/margin/isolated/allPairs"): SignedRoute(api.margin_pairs, 1),
    }
