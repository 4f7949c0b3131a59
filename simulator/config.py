"""The simulated world's settings, read from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from simulator.clock import checked_speed
from simulator.errors import SimConfigError
from simulator.terms import AS_USUAL, Terms

MARGIN_MODES = ("hedging", "netting")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimConfig:
    """How to make a world.

    Parameters
    ----------
    state_dir : Path
        Its ``sim`` folder keeps the clock and the account.
    start : datetime, optional
        Where a new clock starts; by default 2026-01-05, or after three quarters of the replayed bars.
    speed : float
        Seconds of market time in a second, above 0 and at most 240.
    seed : int
        Makes the synthetic prices and the paths inside the hours.
    replay : tuple of str
        Files to replay, ``FILE`` or ``SYMBOL=FILE``; none for a synthetic market.
    margin_mode : {"hedging", "netting"}
    balance, leverage : float, int
        Of the new account, in dollars and as 1:n; either wallet of the exchange begins with as many USDT.
    terms : Terms
        What trading costs there.
    """

    state_dir: Path
    start: datetime | None = None
    speed: float = 60.0
    seed: int = 7
    replay: tuple[str, ...] = ()
    margin_mode: str = "hedging"
    balance: float = 100_000.0
    leverage: int = 30
    terms: Terms = AS_USUAL

    @property
    def sim_dir(self) -> Path:
        """Return the folder of everything that the world keeps."""
        return self.state_dir / "sim"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> SimConfig:
        """Read STATE_DIR and the SIM_ variables; an empty one counts as unset.

        Raises
        ------
        SimConfigError
            Naming the variable, its value and what is allowed.
        """
        env = os.environ if environ is None else environ
        return cls(
            state_dir=Path(env.get("STATE_DIR") or "var"),
            start=_read(env, "SIM_START", None, _moment, "an ISO date or time like 2026-01-05T08:00 (UTC)"),
            speed=_read(env, "SIM_SPEED", 60.0, lambda text: checked_speed(float(text)), "above 0 and at most 240"),
            seed=_read(env, "SIM_SEED", 7, _seed, "a whole number from 0 to 2^32 - 1"),
            replay=tuple(entry.strip() for entry in _entries(env.get("SIM_REPLAY", "")) if entry.strip()),
            margin_mode=_read(env, "SIM_MARGIN_MODE", "hedging", _margin_mode, " or ".join(MARGIN_MODES)),
            balance=_read(env, "SIM_BALANCE", 100_000.0, _positive, "a positive amount of dollars"),
            leverage=_read(env, "SIM_LEVERAGE", 30, _leverage, "a whole number from 1 to 1000, the n of 1:n"),
            terms=Terms(
                spread=_read(env, "SIM_SPREAD", 1.0, _factor, "a factor of at least 0"),
                commission=_read(env, "SIM_COMMISSION", 1.0, _factor, "a factor of at least 0"),
                swap=_read(env, "SIM_SWAP", 1.0, _factor, "a factor of at least 0"),
                hold_open=_read(env, "SIM_HOLD_OPEN", False, _flag, "true or false"),
            ),
        )


def _read(env: Mapping[str, str], name: str, default: T, parse: Callable[[str], T], allowed: str) -> T:
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        return parse(text)
    except (ValueError, KeyError):
        raise SimConfigError(f"{name}={text!r}: use {allowed}") from None


def _entries(text: str) -> list[str]:
    # A drive letter's colon on Windows is no separator there, since its os.pathsep is the semicolon.
    return re.split(rf"[,{re.escape(os.pathsep)}]", text)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed < 2**32:
        raise ValueError(text)
    return seed


def _margin_mode(text: str) -> str:
    if text not in MARGIN_MODES:
        raise ValueError(text)
    return text


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def _factor(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def _flag(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _leverage(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1000:
        raise ValueError(text)
    return value
