"""The running desks that these tests share: each is started once and stopped after the last test of the folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.processes.running_desk import RunningDesk

REPLAYED = ("BTCUSDT_1h_2021-01_2026-04", "ETHUSDT_1h_2021-01_2026-04", "BNBUSDT_1h_2021-01_2026-04")


@pytest.fixture(scope="package")
def demo_desk(tmp_path_factory) -> Iterator[RunningDesk]:
    """Return the desk of somebody who has just cloned the project and typed `up`."""
    yield from _running(RunningDesk(tmp_path_factory.mktemp("demo")))


@pytest.fixture(scope="package")
def replay_desk(tmp_path_factory, trading_data) -> Iterator[RunningDesk]:
    """Return a desk on real hours."""
    files = [str(trading_data / "klines_1h_ohlcv" / f"{name}.parquet") for name in REPLAYED]
    yield from _running(RunningDesk(tmp_path_factory.mktemp("replay"), ("--replay", *files)))


def _running(desk: RunningDesk) -> Iterator[RunningDesk]:
    desk.start()
    yield desk
    desk.end()
