"""The guard: one call at a time, deadlines that are kept, and the fence before every write.

Two clocks run for a call. It may *wait* ``timeout_s`` for its turn; when that is over it answers EXPIRED and is never
called, because nobody waits for it any more. It may *run* as long as ``functions.deadline_s`` says; then the process
with the module is killed and another one started. What ran and did not answer is unavailable if it was a read, and of
unknown outcome if it was a write. The guard keeps no credentials: after a restart the module answers -10004 until the
owner of the connection calls ``initialize`` again.
"""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from .calls import Answer, Call, Kind
from .clock import server_now
from .errors import TerminalError, TerminalUnavailableError
from .fence import Fence
from .functions import deadline_s
from .process import ModuleProcess, NoAnswerError

log = logging.getLogger("terminal")
KILL_COMMAND_EVERY_S = 60.0
KILL_COMMAND_MAY_TAKE_S = 30.0


class Guard:
    """Everything of the server but HTTP.

    Parameters
    ----------
    module : str
        Dotted name of the served module.
    fence : Fence
    kill_command : sequence of str, optional
        Ends MetaTrader itself; run when the module hangs again right after a restart, once a minute at most.
    """

    def __init__(self, module: str, fence: Fence, kill_command: Sequence[str] = ()) -> None:
        self.module = module
        self.fence = fence
        self.restarts = 0
        self._kill_command = list(kill_command)
        self._kill_command_at: float | None = None
        self._n_hangs = 0  # in a row, without an answer of MetaTrader in between
        self._turn = threading.Lock()
        self._swap = threading.Lock()
        self._closed = False
        self._process = ModuleProcess(module)

    def require_ready(self, timeout_s: float) -> None:
        """Wait for the first import of the module; raise TerminalUnavailableError when it fails."""
        self._process.require_ready(timeout_s)

    def exchange(self, call: Call, *, timeout_s: float) -> Answer:
        """Wait for the turn and execute the call; every end of it is an answer."""
        give_up_at = server_now() + timeout_s
        if not self._turn.acquire(timeout=timeout_s):
            return _expired(timeout_s)
        try:
            if server_now() >= give_up_at:  # the sender has given it up, and it must not run later
                return _expired(timeout_s)
            return self._on_turn(call, give_up_at)
        finally:
            self._turn.release()

    def status(self) -> dict[str, Any]:
        """Return what the page and the sentinel ask for; never waits for a call."""
        state, process = self.fence.state, self._process
        return {
            "latched": state.latched,
            "latched_at": state.latched_at,
            "sequence": state.sequence,
            "highest_fence": state.highest,
            "module": self.module,
            "child_pid": process.pid,
            "child_alive": process.alive,
            "restarts": self.restarts,
            "mono": server_now(),
        }

    def close(self) -> None:
        """Kill the process with the module, whatever it does."""
        with self._swap:
            self._closed = True
            self._process.kill()

    def _on_turn(self, call: Call, give_up_at: float) -> Answer:
        try:
            process = self._usable_process()
            process.require_ready(give_up_at - server_now())
            # Ready first: importing the module takes its time, and the fence must be the last thing asked.
            with self.fence.admit(call.terms) if call.terms else nullcontext():
                process.hand_over(call)
        except TerminalError as error:
            return Answer.of_error(error)
        except ValueError as error:
            return Answer.problem(Kind.USAGE, str(error))
        except OSError as error:
            return Answer.problem(Kind.UNAVAILABLE, f"nothing was executed: the module's process is gone ({error})")
        return self._await_answer(process, call)

    def _await_answer(self, process: ModuleProcess, call: Call) -> Answer:
        try:
            answer = process.answer(deadline_s(call.function))
        except NoAnswerError as error:
            log.error("%s: %s", call.function, error)
            self._recover(hung=error.hung)
            return Answer.problem(Kind.OUTCOME_UNKNOWN if call.terms else Kind.UNAVAILABLE, f"{call.function}: {error}")
        if answer.connected:
            self._n_hangs = 0
        return answer

    def _usable_process(self) -> ModuleProcess:
        if not self._process.usable:
            self._restart()
        return self._process

    def _recover(self, *, hung: bool) -> None:
        self._process.kill()
        if hung:
            self._n_hangs += 1
            self._end_metatrader()
        try:
            self._restart()  # now, so that it is imported when the next call comes
        except (TerminalUnavailableError, OSError) as error:
            log.error("not restarted: %s", error)

    def _restart(self) -> None:
        with self._swap:
            if self._closed:
                raise TerminalUnavailableError("the terminal's server is being stopped")
            if self._process.alive:
                # Two of them at once could send two orders.
                raise TerminalUnavailableError(f"process {self._process.pid} was killed and is still there")
            self._process = ModuleProcess(self.module)
            self.restarts += 1
        log.warning("restart %s: process %s, initialize has to be called again", self.restarts, self._process.pid)

    def _end_metatrader(self) -> None:
        if not self._kill_command or self._n_hangs < 2:
            return
        if self._kill_command_at is not None and server_now() < self._kill_command_at + KILL_COMMAND_EVERY_S:
            return
        self._kill_command_at = server_now()
        threading.Thread(target=_run_command, args=(self._kill_command,), daemon=True).start()


def _expired(timeout_s: float) -> Answer:
    return Answer.problem(Kind.EXPIRED, f"EXPIRED: its turn did not come within {timeout_s:g} s; nothing was called")


def _run_command(command: list[str]) -> None:
    log.error("the module hangs again after its restart; running TERMINAL_KILL_CMD")
    try:
        done = subprocess.run(command, timeout=KILL_COMMAND_MAY_TAKE_S, check=False)  # noqa: S603 (the owner's own)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.error("TERMINAL_KILL_CMD failed: %s", error)
    else:
        log.warning("TERMINAL_KILL_CMD ended with %s", done.returncode)
