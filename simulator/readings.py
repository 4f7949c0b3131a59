"""The ledger's rows as MetaTrader 5 shows them: structures with server times and floating profits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator import constants as mt5
from simulator.account import MARGIN_CALL_PCT, STOP_OUT_PCT, Account, opening_price, side_of
from simulator.server_time import to_server_ms, to_server_s
from simulator.structs import AccountInfo, TerminalInfo, TradeDeal, TradeOrder, TradePosition

if TYPE_CHECKING:
    from simulator.ledger import Deal, Order, Position

BUILD = 5_000
BUILD_DATE = "01 Jan 2026"
MAX_BARS = 100_000  # the terminal's "Max. bars in chart": what copy_rates_* returns at most


def account_info(account: Account) -> AccountInfo:
    """Return the account's sums and terms."""
    totals, row = account.totals(), account.row
    return AccountInfo(
        login=row.login,
        trade_mode=mt5.ACCOUNT_TRADE_MODE_DEMO,
        leverage=account.leverage,
        limit_orders=account.limit_orders,
        margin_so_mode=mt5.ACCOUNT_STOPOUT_MODE_PERCENT,
        trade_allowed=True,
        trade_expert=True,
        margin_mode=row.margin_mode,
        currency_digits=2,
        fifo_close=False,
        balance=float(totals.balance),
        credit=0.0,
        profit=float(totals.profit),
        equity=float(totals.equity),
        margin=float(totals.margin),
        margin_free=float(totals.margin_free),
        margin_level=totals.margin_level,
        margin_so_call=MARGIN_CALL_PCT,
        margin_so_so=STOP_OUT_PCT,
        margin_initial=0.0,
        margin_maintenance=0.0,
        assets=0.0,
        liabilities=0.0,
        commission_blocked=0.0,
        name=row.name,
        server=row.server,
        currency=row.currency,
        company=row.company,
    )


def terminal_info(account: Account, folder: str) -> TerminalInfo:
    """Return the state of a terminal that is connected and may trade."""
    return TerminalInfo(
        community_account=False,
        community_connection=False,
        connected=True,
        dlls_allowed=False,
        trade_allowed=True,
        tradeapi_disabled=False,
        email_enabled=False,
        ftp_enabled=False,
        notifications_enabled=False,
        mqid=False,
        build=BUILD,
        maxbars=MAX_BARS,
        codepage=0,
        ping_last=1_000,  # microseconds
        community_balance=0.0,
        retransmission=0.0,
        company=account.row.company,
        name="Simulated MetaTrader 5",
        language="English",
        path=folder,
        data_path=folder,
        commondata_path=folder,
    )


def trade_position(account: Account, position: Position) -> TradePosition:
    """Return an open position at the current price."""
    return TradePosition(
        ticket=position.ticket,
        time=to_server_s(position.time_ms),
        time_msc=to_server_ms(position.time_ms),
        time_update=to_server_s(position.update_ms),
        time_update_msc=to_server_ms(position.update_ms),
        type=position.type,
        magic=position.magic,
        identifier=position.identifier,
        reason=position.reason,
        volume=float(position.volume),
        price_open=position.price_open,
        sl=position.sl,
        tp=position.tp,
        price_current=account.price_current(position),
        swap=float(position.swap),
        profit=float(account.floating(position)),
        symbol=position.symbol,
        comment=position.comment,
        external_id="",
    )


def trade_order(account: Account, order: Order) -> TradeOrder:
    """Return an order, working or done."""
    quote = account.quote(order.symbol)
    return TradeOrder(
        ticket=order.ticket,
        time_setup=to_server_s(order.setup_ms),
        time_setup_msc=to_server_ms(order.setup_ms),
        time_done=to_server_s(order.done_ms) if order.done_ms else 0,
        time_done_msc=to_server_ms(order.done_ms) if order.done_ms else 0,
        time_expiration=to_server_s(order.expiration_ms) if order.expiration_ms else 0,
        type=order.type,
        type_time=order.type_time,
        type_filling=order.type_filling,
        state=order.state,
        magic=order.magic,
        position_id=order.position_id,
        position_by_id=order.position_by_id,
        reason=order.reason,
        volume_initial=float(order.volume_initial),
        volume_current=float(order.volume_current),
        price_open=order.price_open,
        sl=order.sl,
        tp=order.tp,
        price_current=opening_price(side_of(order.type), quote) if quote else 0.0,
        price_stoplimit=order.price_stoplimit,
        symbol=order.symbol,
        comment=order.comment,
        external_id="",
    )


def trade_deal(deal: Deal) -> TradeDeal:
    """Return a deal."""
    return TradeDeal(
        ticket=deal.ticket,
        order=deal.order_ticket,
        time=to_server_s(deal.time_ms),
        time_msc=to_server_ms(deal.time_ms),
        type=deal.type,
        entry=deal.entry,
        magic=deal.magic,
        position_id=deal.position_id,
        reason=deal.reason,
        volume=float(deal.volume),
        price=deal.price,
        commission=float(deal.commission),
        swap=float(deal.swap),
        profit=float(deal.profit),
        fee=0.0,
        symbol=deal.symbol,
        comment=deal.comment,
        external_id="",
    )
