"""Positions into lots, lots into fills, fills into money, in one pass over the bars.

What an account does at a bar, in this order: nights and funding that ended by the bar's open are charged on what is
held; the slot of the open trades; in the hour before the early slot, that one trades near the bar's end; equity is
read at the close. ``research.timeline`` says which bar has which; ``docs/backtest.md`` works through ten by hand.

Volumes are counted in **atoms**: the largest volume of which both the venue's step and the lot precision are whole
multiples. A volume on the grid is then a whole number, exact in a float, and rounding needs no decimals.
"""

from __future__ import annotations

import numpy as np

from strategies.kernels.course import Course, Terms
from strategies.kernels.jit import Floats, compiled

SLOT, EARLY, CARRY = 1, 2, 4  # bits of a bar's marks: a slot acts at its open, one before its end, something is charged
GROSS, SPREAD, SLIPPAGE, COMMISSION, SWAP, FUNDING, TRADED, TALLY = range(8)  # sums of a run; costs positive if paid
BAR, SYMBOL, IS_EARLY, BEFORE, AFTER, PRICE, SPREAD_PAID, SLIPPAGE_PAID, COMMISSION_PAID, FILL = range(10)
LANES, TILE = 16, 64  # variants side by side, bars whose positions are brought together
# What a sweep keeps of its variants: where each field's ``LANES`` numbers begin, and how many fields there are.
CASH, COINS, HELD, LOW, HIGH, NEEDED, LAST, PEAK, WORST, TOTAL, SQUARES, LEVELS, WORTHS, COUNT, FIELDS = (
    field * LANES for field in range(15)
)
FIELDS //= LANES

# A quotient of decimal numbers comes out of floats within this of the true one. What is so close to a half, or to a
# whole number, is meant to be there: other quotients of prices and capitals are millions of times farther away.
ROUNDING = 4e-15
HALF = 0.499  # of a precision unit: what is nearer than this to the volume held rounds to it, whatever else is true
NEAREST = 6755399441055744.0  # 1.5 * 2 ** 52: added and taken away again, it leaves the nearest even whole number


def target_atoms_py(position: float, capital: float, price: float, terms: Terms) -> float:
    """Return the signed volume that holds ``position``, by the rules of the live sizing.

    Tenths of capital, then the lot precision (halves to even), then the volume step towards zero, then the most that
    fits into the largest position, then nothing below the smallest volume.

    Parameters
    ----------
    position : float
        Fraction of the symbol's capital, finite.
    capital, price : float
        Account currency, the capital at least 0, the price above.

    Returns
    -------
    float
        Atoms: a whole number, but where nothing is rounded.
    """
    unit = capital * (terms.weight / terms.contract * terms.units * 0.1) / price
    wish = min(max(position, -terms.largest), terms.largest) * 10.0
    if terms.precision == 0.0:
        return unit * wish
    exact = abs(unit * np.rint(wish))
    half = np.floor(exact) + 0.5
    precise = np.rint(half if abs(exact - half) <= ROUNDING * exact else exact)
    atoms = _down(precise * terms.precision, terms.step)
    most = unit * 10.0 * terms.largest
    if precise > most * (1.0 - ROUNDING):
        coarse = max(terms.step, terms.precision)
        atoms = min(atoms, _down(_down(most * terms.precision, coarse), terms.step))
    if atoms < terms.smallest:
        return 0.0
    return float(atoms if wish > 0.0 else -atoms)


def held_after_py(held: float, target: float, band: float) -> float:
    """Return what is held after the slot: closing and turning round always trade, changes of size from ``band`` on."""
    if held * target > 0.0 and abs(target - held) < band:
        return held
    return target


def run_py(
    positions: Floats, course: Course, terms: Terms, capital: tuple[float, float], equity: Floats, fills: Floats
) -> tuple[Floats, int]:
    """Trade one symbol's positions through all its bars.

    Parameters
    ----------
    positions : ndarray of shape (n_bars,), float64
        Fraction of the symbol's capital, decided at a bar's close; finite.
    course, terms
    capital : (start, fixed)
        Account currency. Positions are sized from the lesser of ``fixed`` and the equity; infinity compounds.
    equity : ndarray of shape (n_bars,), float64
        Written to: at each bar's close.
    fills : ndarray of shape (n_fills, FILL), float64
        Written to, a row for each fill in their order; ``n_fills`` is at most the number of slots.

    Returns
    -------
    tally : ndarray of shape (TALLY,), float64
    n_fills : int
    """
    cash, fixed = capital
    tally = np.zeros(TALLY)
    count, held, coins = 0, 0.0, 0.0
    quiet = _quiet(held, terms)
    for t in range(positions.size):
        mark = course.marks[t]
        if mark & CARRY:
            cash -= _carry(coins, course.nights[t], course.funding[t], terms, tally)
        if mark & SLOT:
            position = positions[course.decided[t]]
            for turn in range(2):
                price = course.early[t] if turn else course.open_[t]
                base = max(min(fixed, cash + coins * price), 0.0)
                if not _is_quiet(position, base, price, terms, quiet):
                    after = held_after(held, target_atoms(position, base, price, terms), terms.band)
                    if after != held:
                        cash -= _fill(fills[count], (t, 0, turn), held, after, price, terms, tally)
                        count, held, coins = count + 1, after, after * terms.atom * terms.contract
                        quiet = _quiet(held, terms)
                if not mark & EARLY:
                    break
        equity[t] = cash + coins * course.close[t]
    tally[GROSS] += coins * course.close[positions.size - 1]
    return tally, count


def _quiet_py(held: float, terms: Terms) -> tuple[float, float, float]:
    """Return what keeps a volume as it is: the least and the most precision units asked, and the least capital.

    The capital is a tenth of the symbol's, in precision units: from it on, ``held`` is within the largest position.
    """
    if terms.precision == 0.0:
        return 1.0, -1.0, 0.0
    units = held / terms.precision
    if units != np.rint(units):  # grids that do not nest: which wishes end here is not worth telling
        return 1.0, -1.0, 0.0
    needed = abs(units) / (10.0 * terms.largest) * (1.0 + 1e-14) if held != 0.0 else 0.0
    return units - HALF, units + HALF, needed


def _is_quiet_py(position: float, base: float, price: float, terms: Terms, quiet: tuple[float, float, float]) -> bool:
    """Tell whether the target is what is held: true of most slots, and far quicker than working the target out."""
    low, high, needed = quiet
    unit = base * (terms.weight / terms.contract * terms.units * 0.1) / price
    tenths = (min(max(position, -terms.largest), terms.largest) * 10.0 + NEAREST) - NEAREST
    asked = unit * tenths
    # A position as large as is allowed is rounded down, all others to the nearest.
    shift = 0.5 if abs(tenths) >= 10.0 * terms.largest else 0.0
    asked -= shift if tenths > 0.0 else -shift
    return bool(low <= asked <= high and needed <= unit)


def _carry_py(coins: float, nights: float, funding: float, terms: Terms, tally: Floats) -> float:
    """Charge nights and funding on what is held; return what was paid."""
    swap = -coins * nights * (terms.night_long if coins > 0.0 else -terms.night_short)
    paid = coins * funding * terms.funding_rate
    tally[SWAP] += swap
    tally[FUNDING] += paid
    return swap + paid


def _charge_py(change: float, price: float, terms: Terms, tally: Floats) -> tuple[float, float, float]:
    """Book what trading some coins earns and costs; return spread, slippage and commission paid."""
    worth = abs(change) * price
    spread = worth * terms.half_spread + abs(change) * terms.half_spread_price
    slippage = worth * terms.slippage
    commission = worth * terms.commission
    tally[GROSS] -= change * price
    tally[SPREAD] += spread
    tally[SLIPPAGE] += slippage
    tally[COMMISSION] += commission
    tally[TRADED] += worth
    return spread, slippage, commission


def _fill_py(
    fill: Floats, where: tuple[int, int, int], held: float, after: float, price: float, terms: Terms, tally: Floats
) -> float:
    """Book and write down a fill; return the cash that it takes, costs included."""
    change = (after - held) * terms.atom * terms.contract
    spread, slippage, commission = _charge(change, price, terms, tally)
    fill[BAR], fill[SYMBOL], fill[IS_EARLY] = where
    fill[BEFORE], fill[AFTER], fill[PRICE] = held * terms.atom, after * terms.atom, price
    fill[SPREAD_PAID], fill[SLIPPAGE_PAID], fill[COMMISSION_PAID] = spread, slippage, commission
    return change * price + spread + slippage + commission


def run_portfolio_py(  # noqa: C901 - one loop: passing its arrays to a function costs ten times what the function does
    positions: Floats, course: Course, table: Floats, capital: tuple[float, float], equity: Floats, fills: Floats
) -> tuple[Floats, int]:
    """Trade the positions of several symbols on one account, all sized from its equity.

    Parameters
    ----------
    positions : ndarray of shape (n_symbols, n_bars), float64
    course : Course
        Of two dimensions.
    table : ndarray of shape (n_symbols, n_terms), float64
        A row of ``Terms`` for each symbol.
    capital, equity, fills
        As for ``run_py``.

    Returns
    -------
    tally : ndarray of shape (TALLY,), float64
    n_fills : int
    """
    n_symbols, n_bars = positions.shape
    cash, fixed = capital
    tally = np.zeros(TALLY)
    held, coins, quiet = np.zeros(n_symbols), np.zeros(n_symbols), np.zeros((n_symbols, 3))
    for s in range(n_symbols):
        quiet[s, 0], quiet[s, 1], quiet[s, 2] = _quiet(0.0, _terms(table, s))
    count = 0
    for t in range(n_bars):
        for s in range(n_symbols):
            if course.marks[s, t] & CARRY:
                cash -= _carry(coins[s], course.nights[s, t], course.funding[s, t], _terms(table, s), tally)
        follows = False
        for turn in range(2):
            prices = course.early if turn else course.open_
            base = max(min(fixed, cash + _worth(coins, prices, t)), 0.0)
            for s in range(n_symbols):
                if not course.marks[s, t] & (EARLY if turn else SLOT):
                    continue
                follows |= course.marks[s, t] & EARLY != 0
                position, price, terms = positions[s, course.decided[s, t]], prices[s, t], _terms(table, s)
                if _is_quiet(position, base, price, terms, (quiet[s, 0], quiet[s, 1], quiet[s, 2])):
                    continue
                after = held_after(held[s], target_atoms(position, base, price, terms), terms.band)
                if after != held[s]:
                    cash -= _fill(fills[count], (t, s, turn), held[s], after, price, terms, tally)
                    count, held[s], coins[s] = count + 1, after, after * terms.atom * terms.contract
                    quiet[s, 0], quiet[s, 1], quiet[s, 2] = _quiet(after, terms)
            if not follows:
                break
        equity[t] = cash + _worth(coins, course.close, t)
    tally[GROSS] += _worth(coins, course.close, n_bars - 1)
    return tally, count


def sweep_py(  # noqa: C901 - one loop, as above
    positions: Floats, course: Course, terms: Terms, capital: tuple[float, float], out: Floats
) -> None:
    """Trade many variants of one symbol's positions as ``run_py`` does, keeping only what is made of their equity.

    ``LANES`` variants pass through the bars side by side, so that the processor does most slots, which change nothing,
    and all valuing on several of them at once. State is one array of ``LANES`` numbers for each field, because the
    compiler finds no such order in several arrays that might overlap.

    Parameters
    ----------
    positions : ndarray of shape (n_variants, n_bars), float64
    course, terms, capital
        As for ``run_py``.
    out : ndarray of shape (n_variants, FIELDS), float64
        Written to: every field after the last bar.
    """
    n_variants, n_bars = positions.shape
    start, fixed = capital
    asked, state, tally = np.zeros((TILE, LANES)), np.empty(FIELDS * LANES), np.zeros(TALLY)
    for first in range(0, n_variants, LANES):
        width = min(LANES, n_variants - first)
        _begin(state, start, terms)
        for begin in range(0, n_bars, TILE):
            n_tile = min(TILE, n_bars - begin)
            for k in range(n_tile):
                decided = course.decided[begin + k]
                for j in range(width):
                    asked[k, j] = positions[first + j, decided]
            for t in range(begin, begin + n_tile):
                mark, wishes = course.marks[t], asked[t - begin]
                for j in range(width if mark & CARRY else 0):
                    paid = _carry(state[COINS + j], course.nights[t], course.funding[t], terms, tally)
                    state[CASH + j] -= paid
                for turn in range(2 if mark & EARLY else 1 if mark & SLOT else 0):
                    price = course.early[t] if turn else course.open_[t]
                    for j in range(0 if _all_quiet(state, wishes, price, fixed, terms) else width):
                        base = max(min(fixed, state[CASH + j] + state[COINS + j] * price), 0.0)
                        quiet = state[LOW + j], state[HIGH + j], state[NEEDED + j]
                        if not _is_quiet(wishes[j], base, price, terms, quiet):
                            _trade_lane(state, j, target_atoms(wishes[j], base, price, terms), price, terms, tally)
                _value(state, course.close[t])
        for j in range(width):
            for field in range(FIELDS):
                out[first + j, field] = state[field * LANES + j]


def _begin_py(state: Floats, start: float, terms: Terms) -> None:
    """Give every lane its capital."""
    state[:] = 0.0
    for j in range(LANES):
        state[CASH + j] = state[LAST + j] = state[PEAK + j] = start
        state[WORST + j] = 1.0
        state[LOW + j], state[HIGH + j], state[NEEDED + j] = _quiet(0.0, terms)


def _all_quiet_py(state: Floats, asked: Floats, price: float, fixed: float, terms: Terms) -> bool:
    """Tell whether all lanes hold their targets: ``_is_quiet`` without a branch, so that it runs on several at once."""
    top = terms.largest
    lots = terms.weight / terms.contract * terms.units * 0.1
    busy = 0
    for j in range(LANES):
        base = state[CASH + j] + state[COINS + j] * price
        base = base if base < fixed else fixed
        base = base if base > 0.0 else 0.0
        unit = base * lots / price
        tenths = asked[j] if asked[j] < top else top
        tenths = tenths if tenths > -top else -top
        tenths = (tenths * 10.0 + NEAREST) - NEAREST
        shift = 0.5 if abs(tenths) >= 10.0 * top else 0.0
        wish = unit * tenths - (shift if tenths > 0.0 else -shift)
        busy |= 1 if wish < state[LOW + j] else 0
        busy |= 1 if wish > state[HIGH + j] else 0
        busy |= 1 if unit < state[NEEDED + j] else 0
    return busy == 0


def _trade_lane_py(state: Floats, j: int, target: float, price: float, terms: Terms, tally: Floats) -> None:
    """Bring one lane to its target."""
    held = state[HELD + j]
    after = held_after(held, target, terms.band)
    if after != held:
        change = (after - held) * terms.atom * terms.contract
        spread, slippage, commission = _charge(change, price, terms, tally)
        state[CASH + j] -= change * price + spread + slippage + commission
        state[WORTHS + j] += abs(change) * price
        state[COUNT + j] += 1.0
        state[HELD + j], state[COINS + j] = after, after * terms.atom * terms.contract
        state[LOW + j], state[HIGH + j], state[NEEDED + j] = _quiet(after, terms)


def _value_py(state: Floats, close: float) -> None:
    """Add a bar's equity to what is made of it. Divisions are dear: falls are divided only where one is deeper."""
    deeper = 0
    for j in range(LANES):
        now = state[CASH + j] + state[COINS + j] * close
        before = state[LAST + j]
        change = now / before - 1.0
        change = change if before > 0.0 else 0.0
        state[TOTAL + j] += change
        state[SQUARES + j] += change * change
        state[LEVELS + j] += now
        peak = now if now > state[PEAK + j] else state[PEAK + j]
        state[PEAK + j] = peak
        state[LAST + j] = now
        deeper |= 1 if now < state[WORST + j] * peak else 0
    for j in range(LANES if deeper else 0):
        ratio = state[LAST + j] / state[PEAK + j]
        state[WORST + j] = ratio if ratio < state[WORST + j] else state[WORST + j]


def _worth_py(coins: Floats, prices: Floats, t: int) -> float:
    """Return what is held, at the prices of a bar."""
    worth = 0.0
    for s in range(coins.size):
        worth += coins[s] * prices[s, t]
    return worth


def _terms_py(table: Floats, s: int) -> Terms:
    """Return a row of the table."""
    a = table[s]
    return Terms(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15])


def _down_py(volume: float, step: float) -> float:
    """Return the multiple of ``step`` at or below ``volume``."""
    steps = volume / step
    nearest = np.rint(steps)
    whole: float = nearest if abs(steps - nearest) <= ROUNDING * steps else np.floor(steps)
    return whole * step


_down = compiled(_down_py)
_terms = compiled(_terms_py)
_worth = compiled(_worth_py)
_quiet = compiled(_quiet_py)
_is_quiet = compiled(_is_quiet_py)
_carry = compiled(_carry_py)
_charge = compiled(_charge_py)
_fill = compiled(_fill_py)
target_atoms = compiled(target_atoms_py)
held_after = compiled(held_after_py)
run = compiled(run_py)
run_portfolio = compiled(run_portfolio_py)
_begin = compiled(_begin_py)
_all_quiet = compiled(_all_quiet_py)
_trade_lane = compiled(_trade_lane_py)
_value = compiled(_value_py)
sweep = compiled(sweep_py)
