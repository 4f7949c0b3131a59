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
SOON, LATE, ABREAST = 4, 24, 16  # bars without an event before others are looked ahead at, so many of them abreast

# A quotient of decimal numbers comes out of floats within this of the true one. What is so close to a half, or to a
# whole number, is meant to be there: other quotients of prices and capitals are millions of times farther away.
ROUNDING = 4e-15
HALF = 0.499  # of a precision unit: what is nearer than this to the volume held rounds to it, whatever else is true
TINY = 1e-150  # two volumes above it have a product above 0
NEVER = (1.0, -1.0, 0.0)  # bounds that nothing is inside of
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


def run_py(  # noqa: C901 - one loop: passing its state to a function costs ten times what the function does
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
    fills : ndarray of shape (n_rows, FILL), float64
        Written to, a row for each fill in their order. There are at most as many as slots; of those that have no row
        of their own only the last is kept, in the last row.

    Returns
    -------
    tally : ndarray of shape (TALLY,), float64
    n_fills : int
    """
    cash, fixed = capital
    tally = np.zeros(TALLY)
    count, held, coins, n_bars = 0, 0.0, 0.0, positions.size
    quiet = _quiet(held, terms)
    events = EARLY | CARRY if _is_charged(terms) else EARLY
    t, last, wait = 0, 0, SOON  # the bar, the last event, and how long after one it is worth looking ahead
    while t < n_bars:
        if t - last >= wait:
            busy = _first_busy(positions, course, terms, (cash, coins, fixed), quiet, events, t)
            for k in range(t, busy):
                equity[k] = cash + coins * course.close[k]
            t = busy
            if t == n_bars:
                break
        mark = course.marks[t]
        event = mark & events
        if mark & CARRY:
            cash -= _carry(coins, course.nights[t], course.funding[t], terms, tally)
        for turn in range(2 if mark & EARLY else 1 if mark & SLOT else 0):
            position, price = positions[course.decided[t]], course.early[t] if turn else course.open_[t]
            base = max(min(fixed, cash + coins * price), 0.0)
            if not _is_quiet(position, base, price, terms, quiet):
                event = 1
                after = held_after(held, target_atoms(position, base, price, terms), terms.band)
                if after != held:
                    row = fills[min(count, fills.shape[0] - 1)]
                    cash -= _fill(row, (t, 0, turn), held, after, price, terms, tally)
                    count, held, coins = count + 1, after, after * terms.atom * terms.contract
                    quiet = _quiet(held, terms)
        equity[t] = cash + coins * course.close[t]
        t += 1
        if event:
            wait, last = SOON if t - last > 2 * LATE else LATE, t
    tally[GROSS] += coins * course.close[n_bars - 1]
    return tally, count


def _first_busy_py(
    positions: Floats,
    course: Course,
    terms: Terms,
    account: tuple[float, float, float],
    quiet: tuple[float, float, float],
    events: int,
    begin: int,
) -> int:
    """Return the first bar from ``begin`` on that may change what is held, or the cash; ``n_bars`` if none does.

    Until then both stay what they are, so that no bar waits for the one before, and the processor looks at several at
    once: that is why the inner loop has no branch.

    Parameters
    ----------
    account : (cash, coins, fixed)
    quiet : (low, high, needed)
        Of ``_quiet``.
    events : int
        Bits of the marks that make a bar busy whatever is asked.
    """
    n_bars, t = positions.size, begin
    while t < n_bars:
        end, found = min(t + ABREAST, n_bars), 0
        for k in range(t, end):
            position = positions[course.decided[k]]
            found |= _is_busy(position, course.open_[k], course.marks[k], account, terms, quiet, events)
        if found:
            break
        t = end
    while t < n_bars:
        position = positions[course.decided[t]]
        if _is_busy(position, course.open_[t], course.marks[t], account, terms, quiet, events):
            break
        t += 1
    return t


def _is_busy_py(
    position: float,
    price: float,
    mark: int,
    account: tuple[float, float, float],
    terms: Terms,
    quiet: tuple[float, float, float],
    events: int,
) -> int:
    """Return something else than 0 where a slot may trade, or an event is marked."""
    cash, coins, fixed = account
    base = cash + coins * price
    base = base if base < fixed else fixed
    base = base if base > 0.0 else 0.0
    asks = 1 - int(_is_quiet(position, base, price, terms, quiet))
    return (asks & mark) | (mark & events)


def _is_charged_py(terms: Terms) -> bool:
    """Tell whether nights or funding cost anything at all."""
    return bool(terms.night_long != 0.0 or terms.night_short != 0.0 or terms.funding_rate != 0.0)


def _quiet_py(held: float, terms: Terms) -> tuple[float, float, float]:
    """Return what keeps a volume as it is: the least and the most precision units asked, and the least capital.

    The capital is a tenth of the symbol's, in precision units: from it on, ``held`` is within the largest position.
    What is asked inside of these surely ends where it began; outside, only working it out can tell.
    """
    size = abs(held)
    low, high = _unchanged(size, terms)
    needed = 0.0
    units = size if terms.precision == 0.0 else size / terms.precision
    if terms.precision != 0.0 and not low <= units - HALF < units + HALF <= high:
        if units != np.rint(units):  # grids that do not nest: which wishes end here is not worth telling
            return NEVER
        low, high = units - HALF, units + HALF
        needed = units / (10.0 * terms.largest) * (1.0 + 1e-14) if held != 0.0 else 0.0
    return (low, high, needed) if held >= 0.0 else (-high, -low, needed)


def _unchanged_py(size: float, terms: Terms) -> tuple[float, float]:
    """Return the least and the most precision units asked that the drift band keeps from changing a size above 0."""
    if size == 0.0:
        return 0.0, 0.0
    if terms.precision == 0.0:
        slack = ROUNDING * size
        low = max(size - terms.band, TINY) + slack
        return (low, size + terms.band - slack) if size > TINY else NEVER[:2]
    coarse, fine = max(terms.step, terms.precision), min(terms.step, terms.precision)
    if coarse % fine != 0.0 or np.rint(10.0 * terms.largest) > 10.0 * terms.largest:
        return NEVER[:2]
    # Rounding and the largest position take less than the coarser step off what was asked, and add no more than it.
    margin = coarse * 1.001
    return (max(size - terms.band, terms.smallest) + margin) / terms.precision, (
        size + terms.band - margin
    ) / terms.precision


def _is_quiet_py(position: float, base: float, price: float, terms: Terms, quiet: tuple[float, float, float]) -> bool:
    """Tell whether the target is what is held: true of most slots, and far quicker than working the target out.

    Both sides are multiplied by the price, because a division costs as much as all the rest.
    """
    low, high, needed = quiet
    worth = base * (terms.weight / terms.contract * terms.units * 0.1)
    wish = position if position < terms.largest else terms.largest
    wish = (wish if wish > -terms.largest else -terms.largest) * 10.0
    tenths = (wish + NEAREST) - NEAREST
    # A position as large as is allowed is rounded down, all others to the nearest.
    shift = 0.5 if abs(tenths) >= 10.0 * terms.largest else 0.0
    rounded = worth * tenths - (shift if tenths > 0.0 else -shift) * price
    asked = worth * wish if terms.precision == 0.0 else rounded
    return bool((low * price <= asked) & (asked <= high * price) & (needed * price <= worth))


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
_unchanged = compiled(_unchanged_py)
_quiet = compiled(_quiet_py)
_is_quiet = compiled(_is_quiet_py)
_is_charged = compiled(_is_charged_py)
_is_busy = compiled(_is_busy_py)
_first_busy = compiled(_first_busy_py)
_carry = compiled(_carry_py)
_charge = compiled(_charge_py)
_fill = compiled(_fill_py)
target_atoms = compiled(target_atoms_py)
held_after = compiled(held_after_py)
run = compiled(run_py)
run_portfolio = compiled(run_portfolio_py)
