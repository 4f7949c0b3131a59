"""The terminal without a wire: the module in this process, behind the same fence, function list and codec.

For replay and for tests that step time. There is no process to kill here, so a call that hangs, hangs.
"""

from __future__ import annotations

import importlib
import os
import threading
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakValueDictionary

from .calls import Answer, Call, Kind, parse_request, run
from .clock import server_now
from .codec import dumps
from .errors import TerminalUnavailableError
from .fence import Fence

_OPEN: WeakValueDictionary[tuple[str, Path], LocalTransport] = WeakValueDictionary()
_OPEN_LOCK = threading.Lock()


class LocalTransport:
    """The calls of one module in this process; ``open`` gives all users of a module and a state the same one."""

    def __init__(self, module: ModuleType, state_dir: Path) -> None:
        self.fence = Fence(state_dir)
        self._module = module
        self._turn = threading.Lock()

    @classmethod
    def open(cls, name: str, state_dir: Path) -> LocalTransport:
        """Return the transport of this module and state; raise TerminalUnavailableError when it cannot be imported."""
        with _OPEN_LOCK:
            key = (name, state_dir.resolve())
            found = _OPEN.get(key)
            if found is None:
                found = _OPEN[key] = cls(_import(name), state_dir)
            return found

    def exchange(self, call: Call, *, timeout_s: float) -> Answer:
        """Execute the call when it is its turn, on arguments that went through JSON as on the wire."""
        parsed, timeout_s = parse_request("/call", dumps(call.to_wire() | {"timeout_s": timeout_s}))
        if not self._turn.acquire(timeout=timeout_s):
            return Answer.problem(Kind.EXPIRED, f"EXPIRED: its turn did not come within {timeout_s:g} s")
        try:
            if parsed.terms is not None:
                with self.fence.admit(parsed.terms):
                    pass
            return run(self._module, parsed)
        finally:
            self._turn.release()

    def latch(self) -> None:
        self._set_latch(on=True)

    def unlatch(self) -> None:
        self._set_latch(on=False)

    def status(self) -> dict[str, Any]:
        state = self.fence.state
        return {
            "latched": state.latched,
            "latched_at": state.latched_at,
            "sequence": state.sequence,
            "highest_fence": state.highest,
            "module": self._module.__name__,
            "child_pid": os.getpid(),
            "child_alive": True,
            "restarts": 0,
            "mono": server_now(),
        }

    def clock(self) -> float:
        return server_now()

    def close(self) -> None:
        """Do nothing: others may use the same module."""

    def _set_latch(self, *, on: bool) -> None:
        try:
            self.fence.latch() if on else self.fence.unlatch()
        except OSError as error:
            raise TerminalUnavailableError(f"the latch could not be written: {error}") from error


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise TerminalUnavailableError(f"cannot import module {name!r}: {error}") from error
