"""The fence: the last look at a write, in the very call that hands it to the module.

A check before a send cannot stop a process that is paused between the two, so it is not the sender that decides here.
Every write carries a fencing token and ``not_after``, and is refused

``fence``
    when its token is below the highest one ever seen (a higher one is on the disk before its write is handed over);
``not_after``
    when that moment has passed on the server's monotonic clock, or lies further ahead than any sender may put it: such
    a one was read from another clock, that of a machine which has been started again since;
``latched``
    when the kill latch is on and the write does not ask to be executed as a reduction (``reduction.py`` proves those).

The latch waits for at most the handing over of one write, never for a call.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .clock import server_now
from .errors import TerminalRefusedError, TerminalUnavailableError
from .reduction import Expected
from .statefile import write_atomically

log = logging.getLogger("terminal")
MAX_AHEAD_S = 60.0  # a sender allows itself two seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms a write may be executed."""

    fence: int  # the fencing token of the sender's lease
    not_after: float  # on the server's monotonic clock, s
    reduce: bool = False  # execute it only if it is proven to be a reduction
    expected: Expected | None = None  # the position as the sender saw it; anything else is refused


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceState:
    """What must survive a restart of the server."""

    highest: int = 0
    latched: bool = False
    latched_at: float | None = None  # wall time, Unix s
    sequence: int = 0  # how many times the latch was put on


class Fence:
    """The fence of one terminal, kept in ``state_dir/safety/fence.json``.

    A file that cannot be read is a latch that is on: a person looks at it and takes it off.
    """

    def __init__(
        self, state_dir: Path, *, now: Callable[[], float] = server_now, wall: Callable[[], float] = time.time
    ) -> None:
        self._path = state_dir / "safety" / "fence.json"
        self._now = now
        self._wall = wall
        self._lock = threading.Lock()
        self._state = self._written = self._read()

    @property
    def state(self) -> FenceState:
        return self._state

    def latch(self) -> None:
        """Refuse everything but reductions from now on; twice is the same as once.

        Raises
        ------
        OSError
            When it is on but could not be written, so that a restart of the server would forget it: call it again.
        """
        with self._lock:
            if not self._state.latched:
                sequence = self._state.sequence + 1
                self._state = replace(self._state, latched=True, latched_at=self._wall(), sequence=sequence)
            self._write(self._state)

    def unlatch(self) -> None:
        """Take writes again; on the disk first, so that a failure leaves the latch on."""
        with self._lock:
            opened = replace(self._state, latched=False, latched_at=None)
            self._write(opened)
            self._state = opened

    @contextmanager
    def admit(self, terms: Terms) -> Iterator[None]:
        """Check the write and hold the latch still while the body hands it over.

        Raises
        ------
        TerminalRefusedError
            With ``reason`` ``fence``, ``not_after`` or ``latched``.
        TerminalUnavailableError
            When a higher token could not be written and the write may add risk.
        """
        with self._lock:
            if terms.fence < self._state.highest:
                newer = f"the highest seen is {self._state.highest}"
                raise TerminalRefusedError("fence", f"token {terms.fence} has been replaced: {newer}")
            unwritten = self._remember(terms.fence)  # even if the write is refused: it has been seen
            require_in_time(terms, self._now())
            if self._state.latched and not terms.reduce:
                raise TerminalRefusedError("latched", "the kill latch is on; only reductions are executed")
            # A full disk must not keep a kill from closing. This process remembers the token.
            if unwritten and not terms.reduce:
                raise TerminalUnavailableError(f"token {terms.fence} could not be written: {unwritten}")
            yield

    def _remember(self, token: int) -> OSError | None:
        """Raise the highest token and return what kept it from the disk, if anything did."""
        self._state = replace(self._state, highest=token)
        try:
            self._write(self._state)
        except OSError as error:
            log.error("the fence could not be written: %s", error)
            return error
        return None

    def _write(self, state: FenceState) -> None:
        if state != self._written:
            write_atomically(self._path, json.dumps(asdict(state)))
            self._written = state

    def _read(self) -> FenceState:
        try:
            return _parse(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return FenceState()
        except (OSError, ValueError) as error:
            log.error("%s cannot be read, the latch is on: %s", self._path, error)
            # A number above all that a counter has reached: no kill's key is used twice.
            return FenceState(latched=True, latched_at=self._wall(), sequence=int(self._wall()))


def require_in_time(terms: Terms, now: float) -> None:
    """Raise TerminalRefusedError unless ``not_after`` lies within ``MAX_AHEAD_S`` after ``now``."""
    ahead_s = terms.not_after - now
    if not 0.0 <= ahead_s <= MAX_AHEAD_S:  # NaN is refused too
        allowed = f"allowed: 0 to {MAX_AHEAD_S:g} s ahead of the server's clock"
        raise TerminalRefusedError("not_after", f"not_after is {ahead_s:.3f} s ahead; {allowed}")


def _parse(text: str) -> FenceState:
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError(f"an object is expected, was {text!r:.80}")
    try:
        state = FenceState(**fields)
    except TypeError as error:
        raise ValueError(str(error)) from error
    if type(state.highest) is not int or type(state.sequence) is not int or type(state.latched) is not bool:
        raise ValueError(f"highest and sequence are integers and latched a boolean, was {text!r:.120}")
    return state
