"""Which address a source is asked at: the usual one, or the simulated world's, which serves all of them."""

from __future__ import annotations

import json
from pathlib import Path

from market.errors import FeedUnavailableError
from market.feeds.base import FeedConfig
from market.feeds.pause import Pause
from market.feeds.rest import RestClient, is_loopback, open_session

RUN_FILE = "binance.json"


def address(config: FeedConfig, public: str) -> str:
    """Return where a source answers whose public address is ``public``.

    An exchange on this machine, or the demo's, serves its futures and the other sources beside its spot market.

    Raises
    ------
    FeedUnavailableError
        In the demo, when no simulated exchange has published itself.
    """
    if config.is_demo and not config.binance_base:
        return _published(config.run_dir / RUN_FILE)
    return config.binance_base if is_loopback(config.binance_base) else public


def open_client(base: str, run_dir: Path, name: str) -> RestClient:
    """Return a client that shares its count of requests and its pauses with all processes that use the name."""
    session = open_session(base, run_dir / f"{name}-limits.sqlite3")
    return RestClient(session, base, pause=Pause(run_dir / f"{name}-pause.json"))


def _published(run_file: Path) -> str:
    """Return the address of the simulated exchange, which never is the real one's."""
    try:
        fields = json.loads(run_file.read_text())
        return f"http://{fields['host']}:{int(fields['port'])}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FeedUnavailableError(
            f"no simulated Binance has published itself in {run_file.name} ({type(error).__name__}): start it with "
            "`manage.py up` or `manage.py simulator`"
        ) from error
