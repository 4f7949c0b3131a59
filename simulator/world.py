"""One simulated world: its settings, its market, its clock, and where its account lives."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from simulator.clock import Mode, SimClock
from simulator.config import SimConfig
from simulator.errors import SimConfigError
from simulator.files import write_json
from simulator.market import Market
from simulator.terms import AS_USUAL


class World:
    """The outside world, made the same way in every process from the same settings.

    A new world's clock is paused at its start, so that a test steps it; ``manage.py simulator`` lets it run. The
    market is made again in each process: it is a pure function of the settings, and takes a fifth of a second.

    Raises
    ------
    SimConfigError, ReplayError
        If the settings make no market, or the state folder belongs to another one.
    """

    def __init__(self, config: SimConfig) -> None:
        self.config = config
        self.market = _market(config)
        self.ledger_path = config.sim_dir / "ledger.sqlite3"
        self.clock = SimClock(config.sim_dir / "clock.json", end_ms=self.market.end_ms)
        _claim(config, self.market)
        mode: Mode = "replay" if config.replay else "synthetic"
        self.clock.create(start_ms=_start_ms(config, self.market), speed=config.speed, mode=mode)

    @classmethod
    def from_env(cls) -> World:
        """Return the world that STATE_DIR and the SIM_ variables describe."""
        return cls(SimConfig.from_env())


def _market(config: SimConfig) -> Market:
    market = _replayed(config) if config.replay else _synthetic(config.seed)
    return market if config.terms == AS_USUAL else market.on_terms(config.terms)


def _replayed(config: SimConfig) -> Market:
    from simulator.replay import replay_market  # needs pandas, which a synthetic world does without

    return replay_market(config.replay, seed=config.seed)


@lru_cache(maxsize=2)
def _synthetic(seed: int) -> Market:
    """Return the market of a seed, which worlds of one process can share: it has no state but a cache."""
    return Market.synthetic(seed)


def _start_ms(config: SimConfig, market: Market) -> int:
    if config.start is None:
        return market.first_trading_ms
    start_ms = round(config.start.timestamp() * 1000)
    if not market.start_ms <= start_ms < market.end_ms:
        first, last = _iso(market.start_ms), _iso(market.end_ms)
        raise SimConfigError(f"SIM_START={config.start.isoformat()}: use a time from {first} to before {last}")
    return start_ms


def _claim(config: SimConfig, market: Market) -> None:
    """Refuse a state folder whose account was traded on other prices; mark a new one as this market's."""
    path = config.sim_dir / "market.json"
    identity = _identity(config, market)
    if not path.exists():
        write_json(path, identity, mode=0o644)
        return
    held = json.loads(path.read_text())
    if held != identity:
        raise SimConfigError(
            f"{config.sim_dir} holds a world of {_describe(held)}, but the settings make one of {_describe(identity)}: "
            "set SIM_SEED and SIM_REPLAY back, use another STATE_DIR, or delete that folder to start anew"
        )


def _identity(config: SimConfig, market: Market) -> dict[str, Any]:
    digest = hashlib.sha256()
    for name in sorted(market.symbols):
        bars = market.hour_bars(name)
        for column in (bars.open_ms, bars.close):
            digest.update(column[:: max(1, len(column) // 4096)].tobytes())
    terms = {} if config.terms == AS_USUAL else {"terms": asdict(config.terms)}
    return terms | {
        "mode": market.mode,
        "seed": config.seed,
        "files": [Path(entry.rpartition("=")[2]).name for entry in config.replay],
        "prices": digest.hexdigest()[:16],
    }


def _describe(identity: dict[str, Any]) -> str:
    what = ", ".join(identity["files"]) or "synthetic prices"
    terms = ", ".join(f"{name} {value}" for name, value in identity.get("terms", {}).items())
    return f"seed {identity['seed']} and {what} ({identity['prices']}){terms and ' on other terms: ' + terms}"


def _iso(t_ms: int) -> str:
    return datetime.fromtimestamp(t_ms / 1000, UTC).isoformat()
