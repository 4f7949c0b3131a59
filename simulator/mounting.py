"""The one simulated terminal of this process, which world it shows, and the way every API call takes.

A test mounts a world; else the first ``initialize()`` takes the one that the environment describes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from simulator.account import Account
from simulator.terminal import SimTerminal

if TYPE_CHECKING:
    from simulator.world import World

T = TypeVar("T")
F = TypeVar("F")
TERMINAL = SimTerminal()


def mount(world: World) -> None:
    """Show a world in this process; its account is opened, or goes on where its ledger ends."""
    with TERMINAL.lock:
        TERMINAL.mount(world)


def mounted() -> World | None:
    """Return the world that is shown."""
    return TERMINAL.world


def mounted_account() -> Account:
    """Return the shown world's account at the clock's now: its ledger is the judge of what happened."""
    with TERMINAL.lock:
        return TERMINAL.account()


def advance() -> None:
    """Let the mounted account live up to the clock's now."""
    mounted_account()


def unmount() -> None:
    """Show no world any more."""
    with TERMINAL.lock:
        TERMINAL.unmount()


def live() -> Account:
    """Return the connected account at the clock's now, or fail as every call before initialize() does."""
    return TERMINAL.connected_account()


def data(name: str, body: Callable[[], T], **arguments: object) -> T | None:
    """Run an API function that answers data, None on failure."""
    return _call(name, body, None, arguments)


def command(name: str, body: Callable[[], bool], **arguments: object) -> bool:
    """Run an API function that answers whether it worked."""
    return _call(name, body, False, arguments)


def _call(name: str, body: Callable[[], T], failure: F, arguments: Mapping[str, object]) -> T | F:
    """Run an API function under its name: all but last_error() pass here, so this is where faults are put."""
    player = TERMINAL.player
    if player is None or not player.is_on:
        return TERMINAL.call(body, failure)
    answer: T | F = player.answer(TERMINAL, name, body, failure, arguments)
    return answer
