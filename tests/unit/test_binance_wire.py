"""The wire to Binance and its fence: what leaves, to whom, and what a silence means."""

from __future__ import annotations

import json
import ssl
import time
from contextlib import contextmanager
from threading import Thread
from types import SimpleNamespace

import pytest
import requests

from execution.brokers.base import Permit
from execution.brokers.binance_account import BinanceAccount
from execution.brokers.binance_fence import FenceRefusedError, VenueFence
from execution.brokers.binance_http import NoAnswerError, NotSentError
from execution.brokers.binance_parse_spot import KeyRights
from execution.brokers.binance_wire import BinanceWire, Credentials
from execution.errors import BrokerUnavailableError, ConfigError
from execution.safety.binance_outcomes import Venue
from execution.safety.locks import file_lock
from execution.safety.outcomes import Outcome
from market.feeds.pause import Pause
from simulator.http import JsonHandler, LocalServer

KEY = Credentials(key="k" * 64, secret="s" * 64)


class ElsewhereHandler(JsonHandler):
    """Sends everything to another address, and remembers who asked."""

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        self.server.asked.append(self.path)
        self.reply_raw(302, b"", {"Location": f"{self.server.url}/stolen"})


@contextmanager
def elsewhere():
    server = LocalServer(ElsewhereHandler)
    server.asked = []
    server.start()
    try:
        yield server
    finally:
        server.stop()


def wire(base="https://127.0.0.1:1", **options) -> BinanceWire:
    return BinanceWire(Venue.SPOT, KEY, mono=time.monotonic, base=base, **options)


# --- where to -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["http://api.binance.com", "ftp://127.0.0.1", "api.binance.com", "http://10.0.0.8:80"])
def test_only_https_leaves_this_machine(base):
    with pytest.raises(ConfigError, match=r"BINANCE_BASE must be https://host, or http on this machine, was "):
        wire(base)


def test_a_redirect_is_refused_and_the_signed_request_goes_nowhere_else():
    with elsewhere() as server:
        one = wire(server.url)
        with pytest.raises(BrokerUnavailableError, match="answered 302"):
            one.read("publicGetTime")
        assert server.asked == ["/api/v3/time"]
        one.close()


def test_ccxt_is_set_not_to_try_again_and_to_fetch_nothing_of_its_own():
    settings = wire()._client.options
    assert (settings["recvWindow"], settings["maxRetriesOnFailure"]) == (5000, 0)
    assert (settings["fetchCurrencies"], settings["fetchMargins"]) == (False, False)
    assert wire()._client.enableRateLimit is False


def test_the_session_takes_nothing_from_its_surroundings(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert wire().session.trust_env is False


def test_a_key_is_never_shown():
    assert KEY.key not in repr(KEY)
    assert KEY.secret not in repr(KEY)


# --- silences -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (requests.ConnectTimeout("connect"), NotSentError),
        (requests.ReadTimeout("read"), NoAnswerError),
        (requests.ConnectionError("Connection aborted.", ConnectionResetError(104, "reset")), NoAnswerError),
        (requests.exceptions.ChunkedEncodingError("cut"), NoAnswerError),
        (requests.exceptions.SSLError(ssl.SSLError("alert")), NoAnswerError),
        (requests.exceptions.SSLError(ssl.SSLCertVerificationError("self-signed")), ConfigError),
    ],
)
def test_only_a_connection_that_was_never_made_proves_that_nothing_left(error, expected):
    one = wire()

    def fail(*_, **__):
        raise error

    one.session.request = fail
    with pytest.raises(expected):
        one.call("publicGetTime")


def test_a_port_where_nobody_listens_is_one():
    with pytest.raises(NotSentError):
        wire("http://127.0.0.1:1").call("publicGetTime")


def test_a_ban_is_kept_by_every_process_and_halts(tmp_path):
    first, second = (wire("http://127.0.0.1:1", pause=Pause(tmp_path / "pause.json")) for _ in range(2))
    banned = requests.Response()
    banned.status_code, banned._content = 418, b'{"code": -1003, "msg": "IP banned"}'
    banned.headers["Retry-After"] = "600"
    first.session.request = lambda *_, **__: banned
    assert first.call("publicGetTime").status == 418
    for one in (first, second):
        with pytest.raises(NotSentError, match="no call for"):
            one.call("publicGetTime")


def test_a_pause_that_cannot_be_written_does_not_lose_the_answer(tmp_path):
    one = wire(pause=Pause(tmp_path / "missing" / "pause.json"))
    limited = requests.Response()
    limited.status_code, limited._content = 429, b"{}"
    one.session.request = lambda *_, **__: limited
    assert one.call("publicGetTime").status == 429


def test_a_wire_without_a_key_is_refused():
    with pytest.raises(ConfigError, match="one of them is empty"):
        BinanceWire(Venue.SPOT, Credentials(key="k", secret=""), mono=time.monotonic)


# --- the key -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rights", "words"),
    [
        ({"may_withdraw": True}, "may withdraw"),
        ({"may_trade_spot": False}, "may not trade spot"),
        ({"is_bound_to_ip": False}, "works from every address"),
    ],
)
def test_a_key_that_may_too_much_or_too_little_is_refused(tmp_path, rights, words):
    safe = {"may_withdraw": False, "is_bound_to_ip": True, "may_trade_spot": True, "may_trade_futures": True}
    account = BinanceAccount(
        wire=SimpleNamespace(venue=Venue.SPOT),
        fence=VenueFence(tmp_path / "fence.json"),
        symbols=["BTCUSDT"],
        mono=time.monotonic,
        sleep=time.sleep,
        needs_bound_key=True,
    )
    account._require_key(KeyRights(**safe))
    with pytest.raises(ConfigError, match=words):
        account._require_key(KeyRights(**safe | rights))


# --- the fence -----------------------------------------------------------------------------------------


@pytest.fixture
def fence(tmp_path):
    return VenueFence(tmp_path / "safety" / "fence.json")


def admitted(fence: VenueFence, *, token=5, ahead_s=2.0, reduces=False) -> Outcome | None:
    try:
        fence.admit(Permit(fence=token, not_after=1000.0 + ahead_s), reduces=reduces, now=1000.0)
    except FenceRefusedError as refused:
        return refused.outcome
    return None


def test_a_latch_of_one_process_holds_in_every_other(tmp_path, fence):
    other = VenueFence(tmp_path / "safety" / "fence.json")
    assert admitted(fence) is None
    other.latch()
    assert admitted(fence) is Outcome.HALT
    assert admitted(fence, reduces=True) is None
    other.unlatch()
    assert admitted(fence) is None


def test_a_token_that_was_replaced_is_refused_in_every_process_and_after_a_restart(tmp_path, fence):
    assert admitted(fence, token=6) is None
    again = VenueFence(tmp_path / "safety" / "fence.json")
    assert (admitted(again, token=5), admitted(again, token=5, reduces=True)) == (Outcome.HALT, Outcome.HALT)
    assert admitted(again, token=6) is None


@pytest.mark.parametrize("ahead_s", [-0.001, 61.0, float("nan")])
def test_what_is_late_or_dated_by_another_clock_is_refused(fence, ahead_s):
    assert admitted(fence, ahead_s=ahead_s) is Outcome.LATER


@pytest.mark.parametrize("content", ["", "{", "[]", '{"highest": "6"}', '{"highest": true}', '{"new": 1}'])
def test_a_file_that_cannot_be_read_is_a_latch_that_is_on(fence, tmp_path, content):
    (tmp_path / "safety").mkdir()
    (tmp_path / "safety" / "fence.json").write_text(content)
    assert (admitted(fence), admitted(fence, reduces=True)) == (Outcome.HALT, None)


def test_the_file_holds_no_more_than_the_token_and_only_its_owner_reads_it(fence, tmp_path):
    admitted(fence, token=7)
    path = tmp_path / "safety" / "fence.json"
    assert json.loads(path.read_text()) == {"highest": 7}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_process_that_was_stopped_at_the_fence_keeps_neither_the_latch_nor_a_close_from_passing(fence, tmp_path):
    admitted(fence)
    with file_lock(tmp_path / "safety" / "fence.lock", timeout_s=1, mono=time.monotonic, sleep=time.sleep):
        fence.latch()
        assert admitted(fence, reduces=True) is None
        with pytest.raises(BrokerUnavailableError, match="held by another process"):
            admitted(VenueFence(tmp_path / "safety" / "fence.json", sleep=lambda _: None))
    assert admitted(fence) is Outcome.HALT


def test_a_disk_that_takes_nothing_stops_entries_and_no_close(tmp_path):
    (tmp_path / "safety").write_text("a file where the folder should be")
    fence = VenueFence(tmp_path / "safety" / "fence.json")
    assert admitted(fence, reduces=True) is None
    with pytest.raises(BrokerUnavailableError, match="could not be locked"):
        admitted(fence)


def test_many_senders_at_once_leave_the_highest_token(fence):
    threads = [Thread(target=admitted, args=(fence,), kwargs={"token": token}) for token in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fence.read().highest == 8
