"""Turn a target and the positions that are ours into orders: new, increase, reduce, close, reverse, or hold.

- A close never opens: what reduces is counted against the position it reduces and never exceeds it.
- Hedging accounts hold one position per entry. Closes carry the ticket, oldest first, the last one in part.
- Netting accounts hold one position. No order crosses zero: a reverse closes first, and its opening leg is planned
  again from what is really left (``plan_open_after_close``).
- Long and short positions of ours at once (a late fill after a reverse) cost margin and swap twice for nothing:
  those on the wrong side of the target are closed, whole, and the right side is brought to the target. The side with
  more volume is reduced first, so that meanwhile the net never exceeds what it was or shall be by more than the
  lighter side.
- The drift band leaves small changes of size alone. Closing and turning round are not changes of size.
- What is smaller than the smallest order stays until the difference has grown; what is off the grid (dust) stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from execution.planning.invariants import require_finite, require_not_negative
from execution.planning.orders import Leg, MarginMode, Position, Scene, Side, SymbolSpec
from execution.planning.rounding import is_on_step, round_down_to_step, split_by_max

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send, in order, and why. Lots are signed."""

    scene: Scene
    legs: tuple[Leg, ...]
    current_lots: Decimal
    target_lots: Decimal
    delta_lots: Decimal
    reason: str

    def __post_init__(self) -> None:
        if (self.scene is Scene.HOLD) != (not self.legs):
            raise ValueError(f"a plan holds exactly when it has no legs, was {self.scene} with {len(self.legs)}")

    @property
    def closing_legs(self) -> tuple[Leg, ...]:
        """The legs that reduce a position: all that may be sent when no new risk is allowed."""
        return tuple(leg for leg in self.legs if leg.reduces)

    @property
    def opening_legs(self) -> tuple[Leg, ...]:
        """The legs that add to a position."""
        return tuple(leg for leg in self.legs if not leg.reduces)


@dataclass(frozen=True, slots=True)
class _Close:
    """A part of one position to be closed, before it is split by the largest order."""

    position: Position
    volume: Decimal


def plan_adjustment(
    *,
    target_lots: Decimal,
    positions: Sequence[Position],
    spec: SymbolSpec,
    margin_mode: MarginMode,
    band: Decimal = ZERO,
) -> Plan:
    """Return the orders that bring our position to ``target_lots``.

    Parameters
    ----------
    target_lots : Decimal
        Signed, on the symbol's grid, and either 0 or at least the smallest volume.
    positions : sequence of Position
        Ours alone, all of this symbol, from one fresh read. Other people's positions never belong here.
    band : Decimal
        Lots. Changes of size below it are left alone.

    Raises
    ------
    ValueError
        If the target is off the grid, a position is another symbol's, or a netting account shows two positions.
    """
    _check(target_lots, positions, spec=spec, margin_mode=margin_mode, band=band)
    current = sum((position.signed_volume for position in positions), ZERO)
    scene, delta = _scene(current, target_lots), target_lots - current
    blank = Plan(
        scene=Scene.HOLD, legs=(), current_lots=current, target_lots=target_lots, delta_lots=delta, reason="on target"
    )
    if _within_band(scene, delta, positions, band=max(band, spec.volume_step)):
        return blank if delta == 0 else replace(blank, reason=f"{abs(delta)} lots are within the band")
    closes = _closes(target_lots, positions, spec)
    opening = _opening(target_lots, positions, closes, spec)
    if not closes and opening == 0:
        return replace(blank, reason=f"{abs(delta)} lots are too small to send: at least {spec.smallest_order}")
    return replace(blank, scene=scene, legs=_legs(scene, closes, opening, spec), reason=_words(current, target_lots))


def plan_open_after_close(
    *,
    target_lots: Decimal,
    positions: Sequence[Position],
    spec: SymbolSpec,
    margin_mode: MarginMode,
    band: Decimal = ZERO,
) -> Plan:
    """Return the opening leg of a reverse, from a fresh read after its closing legs.

    Arguments as for ``plan_adjustment``. Where anything is still to be closed the plan holds, and its reason says how
    much: nothing is opened against a position that should be gone.
    """
    plan = plan_adjustment(target_lots=target_lots, positions=positions, spec=spec, margin_mode=margin_mode, band=band)
    left = sum((leg.volume for leg in plan.closing_legs), ZERO)
    if left:
        return replace(plan, scene=Scene.HOLD, legs=(), reason=f"{left} lots are still to be closed")
    return plan


def _check(
    target_lots: Decimal, positions: Sequence[Position], *, spec: SymbolSpec, margin_mode: MarginMode, band: Decimal
) -> None:
    require_finite(target_lots=target_lots)
    require_not_negative(band=band)
    if not is_on_step(target_lots, spec.volume_step) or 0 < abs(target_lots) < spec.volume_min:
        grid = f"0 or a multiple of {spec.volume_step} from {spec.volume_min}"
        raise ValueError(f"the target of {spec.symbol} must be {grid}, was {target_lots}")
    for position in positions:
        if position.symbol != spec.symbol:
            raise ValueError(f"position {position.ticket} must be one of {spec.symbol}, was one of {position.symbol}")
    if margin_mode is MarginMode.NETTING and len(positions) > 1:
        raise ValueError(f"a netting account holds at most 1 position of {spec.symbol}, got {len(positions)}")


def _scene(current: Decimal, target: Decimal) -> Scene:
    if target == 0:
        return Scene.CLOSE
    if current == 0:
        return Scene.NEW
    if (current > 0) != (target > 0):
        return Scene.REVERSE
    return Scene.INCREASE if abs(target) > abs(current) else Scene.REDUCE


def _within_band(scene: Scene, delta: Decimal, positions: Iterable[Position], *, band: Decimal) -> bool:
    """Tell whether nothing needs to be done: on target, or a change of size below the band."""
    if len({position.side for position in positions}) > 1:
        return False  # both sides are held: unwinding that is not a change of size
    return delta == 0 or (scene in (Scene.INCREASE, Scene.REDUCE) and abs(delta) < band)


def _closes(target: Decimal, positions: Sequence[Position], spec: SymbolSpec) -> list[_Close]:
    """Return what to close on both sides, the heavier side first."""
    closes: list[_Close] = []
    volume = {side: sum((p.volume for p in positions if p.side is side), ZERO) for side in Side}
    for side in sorted(Side, key=lambda side: volume[side], reverse=True):
        wanted = max(ZERO, target * side.sign)
        held = sorted((p for p in positions if p.side is side), key=lambda p: (p.opened_at, p.ticket))
        closes += _closes_of_side(held, max(ZERO, volume[side] - wanted), spec)
    return closes


def _closes_of_side(held: Iterable[Position], surplus: Decimal, spec: SymbolSpec) -> list[_Close]:
    """Spread ``surplus`` over positions of one side, oldest first, never more than each holds."""
    closes: list[_Close] = []
    for position in held:
        part = _closable(position.volume, surplus, spec)
        if part > 0:
            closes.append(_Close(position, part))
            surplus -= part
    return closes


def _closable(volume: Decimal, surplus: Decimal, spec: SymbolSpec) -> Decimal:
    """Return how much of one position can be closed now: a sendable part that leaves a sendable rest, or all."""
    if surplus >= volume:
        return round_down_to_step(volume, spec.volume_step)
    part = round_down_to_step(surplus, spec.volume_step)
    if volume - part < spec.smallest_order:
        part = round_down_to_step(volume - spec.smallest_order, spec.volume_step)
    return part if part >= spec.smallest_order else ZERO


def _opening(target: Decimal, positions: Iterable[Position], closes: Iterable[_Close], spec: SymbolSpec) -> Decimal:
    """Return the signed lots to open once everything is closed; 0 while anything is left on the wrong side."""
    if target == 0:
        return ZERO
    left = dict.fromkeys(Side, ZERO)
    for position in positions:
        left[position.side] += position.volume
    for close in closes:
        left[close.position.side] -= close.volume
    side = Side.of(target)
    if left[side.opposite] > 0:
        return ZERO
    missing = round_down_to_step(max(ZERO, abs(target) - left[side]), spec.volume_step)
    return missing * side.sign if missing >= spec.smallest_order else ZERO


def _legs(scene: Scene, closes: Iterable[_Close], opening: Decimal, spec: SymbolSpec) -> tuple[Leg, ...]:
    """Write closes and opening as numbered legs, none above the largest order."""
    orders: list[tuple[Side, Decimal, int | None]] = [
        (close.position.side.opposite, piece, close.position.ticket)
        for close in closes
        for piece in _pieces(close.volume, spec)
    ]
    if opening != 0:
        orders += [(Side.of(opening), piece, None) for piece in _pieces(abs(opening), spec)]
    return tuple(
        Leg(
            scene=scene,
            symbol=spec.symbol,
            side=side,
            volume=volume,
            ticket=ticket,
            reduces=ticket is not None,
            sequence=number,
        )
        for number, (side, volume, ticket) in enumerate(orders)
    )


def _pieces(volume: Decimal, spec: SymbolSpec) -> tuple[Decimal, ...]:
    return split_by_max(volume, spec.volume_max, spec.volume_step, volume_min=spec.smallest_order)


def _words(current: Decimal, target: Decimal) -> str:
    return f"{current} lots are held, {target} are wanted"
