"""The fence of a Binance account: the last look before a request leaves, shared by all processes through two files.

Each write carries a fencing token and ``not_after``. It is refused here when a higher token has been seen, when
``not_after`` has passed on this machine's clock, or when the latch is on and the write may add risk. The files are read
afresh for each of them: the highest token in one, under a lock; the latch is the other's being there, so that a kill
needs no lock, and nobody who was stopped in the middle can write it away.

The lock is let go before the request travels, so the file alone does not bound how late it may arrive. The venue does:
the request is stamped ``not_after`` less the receive window, and the matching engine refuses it once the window is
over, which is at ``not_after``. What is refused at the latch plus ``not_after`` (2 s) is therefore the bound, and a
process that was paused between its look and its send cannot pass it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from execution.brokers.base import Permit
from execution.errors import BrokerUnavailableError
from execution.safety.locks import file_lock
from execution.safety.outcomes import Outcome
from market.terminal.statefile import write_atomically

LOCK_WITHIN_S = 2.0
REDUCES_WITHIN_S = 0.5
MAX_AHEAD_S = 60.0


class FenceRefusedError(Exception):
    """The fence said no: nothing was sent."""

    def __init__(self, reason: str, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.outcome = outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceState:
    """What every process must know."""

    highest: int = 0  # the fencing token below which nothing is sent
    latched: bool = False


class VenueFence:
    """The fence of one account, in two small files that several processes share.

    A file that cannot be read is a latch that is on: a person looks at it and takes it away.

    Parameters
    ----------
    path : Path
        Of the token's file; the latch and the lock lie beside it.
    """

    def __init__(
        self, path: Path, *, mono: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._path = path
        self._latch_path = path.with_suffix(".latch")
        self._lock_path = path.with_suffix(".lock")
        self._mono = mono
        self._sleep = sleep

    def read(self) -> FenceState:
        """Return what the files say now."""
        highest = self._highest()
        return FenceState(highest=highest or 0, latched=highest is None or self._is_latched())

    def latch(self) -> None:
        """Let nothing pass but reductions from now on, in every process; twice is the same as once."""
        self._make_folder()
        write_atomically(self._latch_path, "latched")

    def unlatch(self) -> None:
        """Let entries pass again."""
        self._latch_path.unlink(missing_ok=True)

    def admit(self, permit: Permit, *, reduces: bool, now: float) -> None:
        """Let a write pass, remembering its token, or refuse it.

        A reduction waits little for the lock and goes on without it: whoever holds it may have been stopped, and a
        kill must close all the same.

        Parameters
        ----------
        reduces : bool
            It cannot add risk: a reduction that the venue itself holds to that, or a taking back.
        now : float
            The clock that the permit was written with, seconds.

        Raises
        ------
        FenceRefusedError
            With the reason and what it means.
        BrokerUnavailableError
            An entry, and the lock is held by another process, or a token that is new could not be written.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(self._locked(REDUCES_WITHIN_S if reduces else LOCK_WITHIN_S))
            except (BrokerUnavailableError, OSError) as error:
                if not reduces:
                    raise BrokerUnavailableError(f"the fence could not be locked: {error}") from error
            self._require(permit, self.read(), reduces=reduces, now=now)

    def _require(self, permit: Permit, state: FenceState, *, reduces: bool, now: float) -> None:
        if permit.fence < state.highest:
            newer = f"token {permit.fence} has been replaced: the highest seen is {state.highest}"
            raise FenceRefusedError("fence", Outcome.HALT, newer)
        if permit.fence > state.highest:
            self._remember(permit.fence, must=not reduces)
        ahead_s = permit.not_after - now
        if not 0.0 <= ahead_s <= MAX_AHEAD_S:  # NaN is refused too
            allowed = f"not_after is {ahead_s:.3f} s ahead; allowed: 0 to {MAX_AHEAD_S:g} s"
            raise FenceRefusedError("not_after", Outcome.LATER, allowed)
        if state.latched and not reduces:
            why = f"{self._latch_path.name} is there, or {self._path.name} cannot be read"
            raise FenceRefusedError("latched", Outcome.HALT, f"the kill latch is on ({why}); only reductions are sent")

    def _remember(self, token: int, *, must: bool) -> None:
        """Write a new token down. A full disk must not keep a kill from closing."""
        try:
            write_atomically(self._path, json.dumps({"highest": token}))
        except OSError as error:
            if must:
                raise BrokerUnavailableError(f"token {token} could not be written: {error}") from error

    def _highest(self) -> int | None:
        """Return the highest token that was seen, None when the file cannot be read."""
        try:
            highest = json.loads(self._path.read_text(encoding="utf-8"))["highest"]
        except FileNotFoundError:
            return 0
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return highest if type(highest) is int else None

    def _is_latched(self) -> bool:
        try:
            self._latch_path.stat()
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    def _make_folder(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _locked(self, within_s: float) -> AbstractContextManager[None]:
        self._make_folder()
        return file_lock(self._lock_path, timeout_s=within_s, mono=self._mono, sleep=self._sleep)
