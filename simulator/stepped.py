"""A simulated world inside this process whose time moves only when its user steps it: replays and tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulator import metatrader5
from simulator.config import SimConfig
from simulator.exchange import ExchangeServer
from simulator.files import only_one, write_json
from simulator.http import LOOPBACK
from simulator.world import World


@contextmanager
def stepped_world(config: SimConfig | None = None, *, run_dir: Path) -> Iterator[World]:
    """Mount a world for the block: its terminal is ``module:simulator.metatrader5``, its exchange is in ``run_dir``.

    Parameters
    ----------
    config : SimConfig, optional
        By default what the environment says.
    run_dir : Path
        Where ``binance.json`` says how to reach the exchange.

    Raises
    ------
    SimConfigError
        If a simulator runs on this state, or the settings make no world.
    """
    world = World(config or SimConfig.from_env())
    with only_one(world.config.sim_dir / "running.lock"):
        metatrader5.mount(world)
        exchange = ExchangeServer(world.market, world.clock, balance=world.config.balance)
        exchange.start()
        published = run_dir / "binance.json"
        address = {"host": LOOPBACK, "port": exchange.port, "pid": os.getpid()}
        write_json(published, address | exchange.published)
        try:
            yield world
        finally:
            published.unlink(missing_ok=True)
            metatrader5.unmount()
            exchange.stop()
