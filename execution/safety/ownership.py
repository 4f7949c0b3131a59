"""Which positions are ours: by magic on hedging accounts, by our own journalled fills on netting ones."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from django.db import transaction
from django.db.models import Case, F, Sum, When

from execution.brokers.magic import Family, decode_magic, is_ours
from execution.errors import RiskRefusedError
from execution.models import Account, FillRecord, Intent, SymbolOwner
from execution.planning.orders import MarginMode, Position, Side

ZERO = Decimal(0)
VOLUME_PLACES = Decimal("1e-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """The account's positions, told apart."""

    ours: tuple[Position, ...]
    foreign: tuple[Position, ...]
    # Symbols whose venue position is not what our fills add up to (netting), or whose magic nobody here gave out.
    doubtful: frozenset[str] = frozenset()

    def of(self, symbol: str) -> tuple[Position, ...]:
        """Return our positions of one symbol."""
        return tuple(p for p in self.ours if p.symbol == symbol)


def tell_apart(
    positions: Iterable[Position],
    *,
    mode: MarginMode,
    booked: Mapping[str, Decimal],
    given: Container[int],
    family: str | None = None,
) -> Ownership:
    """Split positions into ours and foreign ones.

    Parameters
    ----------
    booked : mapping of symbol to signed lots
        What our journalled fills add up to; used on netting accounts.
    given : container of int
        The magics that our journal gave out; used on hedging accounts. A position with another one of ours is ours, and
        its symbol doubtful: the journal is older than the position, as after a backup was restored.
    family : str, optional
        Only positions of this family are ours; a kill leaves it out.
    """
    if mode is MarginMode.HEDGING:
        return _by_magic(tuple(positions), given, family)
    return _by_book(tuple(positions), booked)


def _by_magic(positions: tuple[Position, ...], given: Container[int], family: str | None) -> Ownership:
    def belongs(position: Position) -> bool:
        magic = decode_magic(position.magic)
        return magic is not None and family in (None, magic.family)

    ours = tuple(p for p in positions if belongs(p))
    unknown = frozenset(p.symbol for p in positions if is_ours(p.magic) and p.magic not in given)
    return Ownership(ours=ours, foreign=tuple(p for p in positions if not belongs(p)), doubtful=unknown)


def _by_book(positions: tuple[Position, ...], booked: Mapping[str, Decimal]) -> Ownership:
    """Take of each net position at most what our fills add up to, in our direction (a kill closes no more)."""
    ours, foreign, doubtful = [], [], set()
    for position in positions:
        book = booked.get(position.symbol, ZERO)
        if book != position.signed_volume:
            doubtful.add(position.symbol)
        if book == 0 or Side.of(book) is not position.side:
            foreign.append(position)
            continue
        ours.append(replace(position, volume=min(abs(book), position.volume)))
        if position.volume > abs(book):
            foreign.append(replace(position, volume=position.volume - abs(book)))
    held = {p.symbol for p in positions}
    doubtful |= {symbol for symbol, lots in booked.items() if lots != 0 and symbol not in held}
    return Ownership(ours=tuple(ours), foreign=tuple(foreign), doubtful=frozenset(doubtful))


def booked_lots(account: Account) -> dict[str, Decimal]:
    """Return what our own fills add up to, in signed lots a symbol."""
    signed = Case(When(side=Side.SELL, then=-F("volume")), default=F("volume"))
    rows = FillRecord.objects.filter(account=account).exclude(intent=None).values("symbol").annotate(lots=Sum(signed))
    # SQLite adds decimals as floats; eight places are finer than any volume step and coarser than their error.
    return {row["symbol"]: Decimal(row["lots"]).quantize(VOLUME_PLACES).normalize() for row in rows}


def read_ownership(
    account: Account, positions: Iterable[Position], *, mode: MarginMode, family: str | None = Family.REBALANCE
) -> Ownership:
    """Tell the positions of one read apart: by the book where the account nets, by the journal's magics elsewhere."""
    held = tuple(positions)
    booked = booked_lots(account) if mode is MarginMode.NETTING else {}
    given = set(Intent.objects.filter(magic__in={p.magic for p in held}).values_list("magic", flat=True))
    return tell_apart(held, mode=mode, booked=booked, given=given, family=family)


def claim_symbol(account: Account, symbol: str, family: str, read_positions: Callable[[], Iterable[Position]]) -> None:
    """Make a family the owner of a symbol, or refuse; asked again by the owner it changes nothing.

    Another family takes over while the owner holds nothing there and has nothing under way.

    Raises
    ------
    RiskRefusedError
        With the code ``owner:<family>`` of the one that keeps it.
    """
    with transaction.atomic():
        owner, _ = SymbolOwner.objects.get_or_create(account=account, symbol=symbol, defaults={"family": family})
    if owner.family == family:
        return
    is_busy = Intent.objects.open().filter(account=account, symbol=symbol, family=owner.family).exists()
    if is_busy or any(_is_of(position, symbol, owner.family) for position in read_positions()):
        raise RiskRefusedError(
            f"{symbol} belongs to {owner.family} and is not flat; {family} may trade it once it is",
            codes=[f"owner:{owner.family}"],
        )
    moved = SymbolOwner.objects.filter(pk=owner.pk, family=owner.family).update(family=family)
    if not moved:
        raise RiskRefusedError(f"{symbol} changed its owner at this moment", codes=[f"owner:{owner.family}"])


def _is_of(position: Position, symbol: str, family: str) -> bool:
    """Tell whether a position of a symbol bears a family's magic."""
    magic = decode_magic(position.magic)
    return position.symbol == symbol and magic is not None and magic.family == family
