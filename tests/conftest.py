"""Fixtures with a lifetime that more than one kind of test needs."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import fresh_database

LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(scope="session")
def trading_data() -> Path:
    """Return the folder of real bars, or skip with the reason; under CI a missing folder is a failure."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TRADING_DATA", default))
    if not folder.is_dir():
        reason = f"no real data at {folder}: set TRADING_DATA to its folder"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Make the test database, and have it emptied quickly after each test that commits to it."""
    with pytest.MonkeyPatch.context() as patch:
        with django_db_blocker.unblock():
            fresh_database.remember(patch)
        yield


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test talk to another machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(LOOPBACK):  # type: ignore[index]
            raise OSError(f"tests talk to this machine only, not to {address!r}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)
