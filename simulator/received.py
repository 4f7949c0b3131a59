"""The venue's own log of the trade requests that reached it, whatever a fault or the server made of them.

A row is written when a request comes, with what the books held at that moment, and once more when it is answered; one
without an answer is one whose caller, or whose venue, died meanwhile. What a fault trades by hand is no request.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.ledger import Request, changed
from simulator.money import exact

if TYPE_CHECKING:
    from simulator.account import Account
    from simulator.structs import OrderSendResult
    from simulator.terminal import SimTerminal

NO_ANSWER = -1


@dataclass
class Answer:
    """What the caller is told."""

    value: OrderSendResult | None = None


@contextmanager
def noted(terminal: SimTerminal, request: object) -> Iterator[Answer]:
    """Note a request before the block answers it, and the answer after; nothing where no world is shown."""
    answer = Answer()
    with terminal.lock:
        if terminal.world is None:
            yield answer
            return
        account = terminal.account()
        row = _arrived(account, request if isinstance(request, dict) else {})
        yield answer
        _put(account, _answered(row, answer.value, terminal.error[0]))


def _arrived(account: Account, request: Mapping[str, Any]) -> Request:
    symbol = str(request.get("symbol", ""))
    row = Request(
        number=account.ledger.meta("requests") + 1,
        at_ms=account.now_ms,
        wall_ms=round(time.time() * 1000),
        action=_text(request, "action"),
        symbol=symbol,
        type=_text(request, "type"),
        lots=_text(request, "volume"),
        price=_text(request, "price"),
        position=_ticket(request, "position"),
        order_ticket=_ticket(request, "order"),
        magic=_ticket(request, "magic"),
        last_deal=account.ledger.meta("deal_ticket"),
        seen=json.dumps(_seen(account, symbol) | {"levels": [_text(request, name) for name in ("sl", "tp")]}),
        retcode=0,
        error=0,
        answered="",
        deal=0,
    )
    _put(account, row)
    return row


def _answered(row: Request, result: OrderSendResult | None, error: int) -> Request:
    if result is None:
        return changed(row, retcode=NO_ANSWER, error=error)
    return changed(row, retcode=result.retcode, error=error, answered=repr(result.volume), deal=result.deal)


def _put(account: Account, row: Request) -> None:
    with account.ledger.transaction():
        account.ledger.put(row)
        account.ledger.set_meta("requests", row.number)


def _seen(account: Account, symbol: str) -> dict[str, Any]:
    """Return equity, positions, what a lot of each symbol is worth at the mid price, and the symbol's grid."""
    positions = account.ledger.positions()
    names = sorted({p.symbol for p in positions} | ({symbol} & set(account.market.symbols)))
    quotes = {name: account.quote(name) for name in names}
    spec = account.market.symbols.get(symbol)
    return {
        "equity": str(account.totals().equity),
        "positions": [[p.ticket, p.symbol, p.type, str(p.volume), p.magic] for p in positions],
        "mids": {name: (quote.bid + quote.ask) / 2 for name, quote in quotes.items() if quote},
        "sizes": {name: str(exact(account.market.symbols[name].contract_size)) for name in names},
        "grid": [str(exact(v)) for v in (spec.volume_min, spec.volume_step, spec.volume_max)] if spec else [],
    }


def _text(request: Mapping[str, Any], name: str) -> str:
    return repr(request[name]) if name in request else ""


def _ticket(request: Mapping[str, Any], name: str) -> int:
    """Return a whole number that SQLite can hold, 0 for anything else."""
    value = request.get(name, 0)
    return value if isinstance(value, int) and abs(value) < 2**63 else 0
