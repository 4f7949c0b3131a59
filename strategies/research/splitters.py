"""Cut time into bars to learn from and bars to be tested on, with a gap between them.

Splitters of scikit-learn's kind, for ``cross_val_score`` and ``GridSearchCV``. They give row numbers, and bars that
are cut and glued by them have false returns at the joins: cross-validate ``research.onbars.OnBars``, not a strategy.

A row's position is paid by the return of the next bar, and fitting reads the return that ends at its own row. So an
``embargo`` of 1 is the least that keeps what a model is tested by out of what it learned; 0 is for other rows.
Indicators of bars trained on after a test block still look back into it: an embargo as long as the longest window, of
720 bars and more, keeps even that apart, and wants blocks several times as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sized
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from strategies.estimators.parameters import Allowed, Number, Whole, check_parameters
from strategies.research.errors import SplitError

Rows = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]
Split = tuple[Rows, Rows]

DRAWS = 100  # of blocks, before a fold that cannot be filled is given up


class Splitter(Protocol):
    """What scikit-learn asks of ``cv``."""

    def split(self, X: Sized, y: object = None, groups: object = None) -> Iterator[Split]: ...

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int: ...


class _FixedSplits:
    """A splitter that always gives ``n_splits`` splits."""

    n_splits: int

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        return self.n_splits


@dataclass(frozen=True)
class BlockBootstrap(_FixedSplits):
    """Train on blocks drawn with replacement, test on the blocks not drawn.

    A block that is drawn twice is in the training rows twice. A draw that leaves nothing to test, or nothing to train
    on once the embargo is taken off, is drawn again.

    Parameters
    ----------
    n_splits : int, default=10
        Independent draws. Draw ``k`` is the same however many there are.
    block_length : int, default=168
        Bars. The last block takes what is left over, up to twice that.
    train_fraction : float, default=0.7
        Blocks drawn, as a share of all blocks: of many, ``exp(-train_fraction)`` are left to test.
    embargo : int, default=24
        Bars on either side of every test bar that are not trained on.
    random_state : int, default=0
        Seed: the same one gives the same splits, every time that they are asked for.

    Raises
    ------
    ParameterError
        At once, for a parameter outside what it may be.
    SplitError
        On ``split``, for fewer than two blocks, or if no draw leaves anything to train and test on.
    """

    n_splits: int = 10
    _: KW_ONLY
    block_length: int = 168
    train_fraction: float = 0.7
    embargo: int = 24
    random_state: int = 0

    def __post_init__(self) -> None:
        _check(
            self,
            n_splits=Whole(1),
            block_length=Whole(1),
            train_fraction=Number(0, 1, above=True),
            embargo=Whole(0),
            random_state=Whole(0),
        )

    def split(self, X: Sized, y: object = None, groups: object = None) -> Iterator[Split]:
        """Yield training rows (ascending, each as often as its block was drawn) and test rows of every draw."""
        block_of = _blocks(len(X), self.block_length, at_least=2)
        for fold in range(self.n_splits):
            yield self._draw(block_of, fold)

    def _draw(self, block_of: Rows, fold: int) -> Split:
        n_blocks = int(block_of[-1]) + 1
        n_drawn = max(1, round(self.train_fraction * n_blocks))
        rng = np.random.default_rng([self.random_state, fold])
        for _ in range(DRAWS):
            times = np.bincount(rng.integers(n_blocks, size=n_drawn), minlength=n_blocks)[block_of]
            test = times == 0
            times[_near(test, self.embargo)] = 0
            if test.any() and times.any():
                return np.repeat(np.arange(times.size), times), np.flatnonzero(test)
        raise SplitError(
            f"no draw of {n_drawn} out of {n_blocks} blocks of {self.block_length} bars leaves bars to train and to "
            f"test on, {self.embargo} apart: take shorter blocks, a smaller embargo or more bars"
        )


@dataclass(frozen=True)
class BlockPermutation(_FixedSplits):
    """Deal blocks, in random order, into folds: every bar is tested exactly once.

    Parameters
    ----------
    n_splits : int, default=5
        Folds, at least 2.
    block_length, embargo, random_state
        See ``BlockBootstrap``.

    Raises
    ------
    ParameterError
        At once, for a parameter outside what it may be.
    SplitError
        On ``split``, for fewer blocks than folds, or if the embargo leaves a fold nothing to train on.
    """

    n_splits: int = 5
    _: KW_ONLY
    block_length: int = 168
    embargo: int = 24
    random_state: int = 0

    def __post_init__(self) -> None:
        _check(self, n_splits=Whole(2), block_length=Whole(1), embargo=Whole(0), random_state=Whole(0))

    def split(self, X: Sized, y: object = None, groups: object = None) -> Iterator[Split]:
        """Yield training and test rows of every fold, both ascending."""
        block_of = _blocks(len(X), self.block_length, at_least=self.n_splits)
        n_blocks = int(block_of[-1]) + 1
        fold_of_block = np.random.default_rng(self.random_state).permutation(n_blocks) % self.n_splits
        fold_of = fold_of_block[block_of]
        for fold in range(self.n_splits):
            yield self._fold(fold_of == fold, fold)

    def _fold(self, test: Flags, fold: int) -> Split:
        train = np.flatnonzero(~_near(test, self.embargo))
        if not train.size:
            raise SplitError(
                f"fold {fold} has nothing to train on: with blocks of {self.block_length} bars every other bar is "
                f"within {self.embargo} bars of a test bar; take longer blocks or a smaller embargo"
            )
        return train, np.flatnonzero(test)


@dataclass(frozen=True)
class PurgedWalkForward(_FixedSplits):
    """Train on the past, test on what follows it, and walk on: the last test bar is the last bar.

    Parameters
    ----------
    n_splits : int, default=5
        Test windows, one right after the other.
    test_length : int or None, default=None
        Bars of a test window; None is ``n_bars // (n_splits + 1)``.
    train_length : int or None, default=None
        Bars trained on before each window; None is all of the past (an expanding window).
    embargo : int, default=24
        Bars between the training bars and the test window.

    Raises
    ------
    ParameterError
        At once, for a parameter outside what it may be.
    SplitError
        On ``split``, for too few bars.
    """

    n_splits: int = 5
    _: KW_ONLY
    test_length: int | None = None
    train_length: int | None = None
    embargo: int = 24

    def __post_init__(self) -> None:
        length = _WholeOrNone(1)
        _check(self, n_splits=Whole(1), test_length=length, train_length=length, embargo=Whole(0))

    def split(self, X: Sized, y: object = None, groups: object = None) -> Iterator[Split]:
        """Yield training and test rows of every window, the earliest window first; both are ranges."""
        n_rows = len(X)
        test_length = self.test_length or n_rows // (self.n_splits + 1)
        first = n_rows - self.n_splits * test_length
        self._check_room(n_rows, first, test_length)
        for start in range(first, n_rows, test_length):
            end = start - self.embargo
            begin = 0 if self.train_length is None else end - self.train_length
            yield np.arange(begin, end), np.arange(start, start + test_length)

    def _check_room(self, n_rows: int, first: int, test_length: int) -> None:
        """Raise unless the first window has as many bars before it as it wants; later ones have more."""
        wanted = self.embargo + (self.train_length or 1)
        if test_length < 1 or first < wanted:
            tested = self.n_splits * max(test_length, 1)
            raise SplitError(
                f"{self.n_splits} test windows of {max(test_length, 1)} bars, an embargo of {self.embargo} and "
                f"{self.train_length or 1} bars to train on need at least {tested + wanted} bars, got {n_rows}"
            )


class _WholeOrNone(Whole):
    """Whole numbers from ``low`` on, and None."""

    def __contains__(self, value: object) -> bool:
        return value is None or super().__contains__(value)

    def __str__(self) -> str:
        return f"None or {super().__str__()}"


def _check(splitter: BlockBootstrap | BlockPermutation | PurgedWalkForward, /, **allowed: Allowed) -> None:
    check_parameters(type(splitter).__name__, allowed, asdict(splitter))


def _blocks(n_rows: int, block_length: int, *, at_least: int) -> Rows:
    """Return the block of every row; the last block takes what is left over."""
    n_blocks = n_rows // block_length
    if n_blocks < at_least:
        raise SplitError(
            f"{at_least} blocks of {block_length} bars need at least {at_least * block_length} bars, got {n_rows}: "
            f"take shorter blocks or more bars"
        )
    return np.minimum(np.arange(n_rows) // block_length, n_blocks - 1)


def _near(test: Flags, embargo: int) -> Flags:
    """Return which rows are tested, or within ``embargo`` rows of one that is."""
    passed = np.concatenate([[0], np.cumsum(test)])
    rows = np.arange(test.size)
    tested = passed[np.minimum(rows + embargo + 1, test.size)] - passed[np.maximum(rows - embargo, 0)]
    return np.asarray(tested > 0)
