"""``up``: everything a mode needs, in one terminal, restarted when it dies and stopped within seconds."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone
from django_q.models import OrmQ
from loguru import logger

from market.terminal.statefile import FolderLock
from ops import heartbeats, queues
from ops.errors import DeskError, ExitCode
from tradingsite.children import PROJECT, Child, ChildSpec, GroupsFile, manage, stop_all

LOOK_EVERY_S = 0.5
WATCH_EVERY_S = 5.0
GRACE_S = 60.0  # a process has this long to give its first sign of life
SENTINEL_DEAD_AFTER_S = 20.0
NOTIFIER_DEAD_AFTER_S = 60.0  # a round may wait for a ping, and for a database that is busy
READY_WITHIN_S = 120.0
DESK_STOPS_WITHIN_S, WORLD_STOPS_WITHIN_S = 6.0, 1.5
WEB_STOPS_WITHIN_S = 3  # open pages would keep it for ever
WRONG_SETTINGS = (ExitCode.USAGE, ExitCode.DATA)  # ends that trying again does not change


class StartUpError(DeskError):
    """Something that ``up`` needs is not there, or did not come up."""

    exit_code = ExitCode.FAILED


class AlreadyUpError(DeskError):
    """Another ``up`` runs on this state."""

    exit_code = ExitCode.REFUSED


def outside_world() -> list[ChildSpec]:
    """Return what stands in for, or speaks to, the broker in this mode."""
    if settings.TRADING_MODE == "demo":
        return [ChildSpec(name="simulator", argv=manage("simulator"))]
    if settings.MT5_BRIDGE:
        return []  # somebody else serves the terminal
    return [ChildSpec(name="terminal", argv=manage("terminal"))]


def desk() -> list[ChildSpec]:
    """Return the processes of the desk itself."""
    web = (sys.executable, "-m", "uvicorn", "tradingsite.asgi:application", "--app-dir", str(PROJECT))
    serve = ("--host", settings.HOST, "--port", str(settings.PORT), "--lifespan", "on", "--log-level", "warning")
    patience = ("--timeout-graceful-shutdown", str(WEB_STOPS_WITHIN_S))
    return [
        ChildSpec(name="web", argv=(*web, *serve, *patience)),
        ChildSpec(name="trader", argv=manage("qcluster"), env={"Q_CLUSTER_NAME": queues.TRADING}),
        ChildSpec(name="research", argv=manage("qcluster"), env={"Q_CLUSTER_NAME": queues.RESEARCH}),
        ChildSpec(name="sentinel", argv=manage("sentinel")),
        ChildSpec(name="notifier", argv=manage("notifier")),
    ]


def demo_loader() -> ChildSpec:
    """Return what brings the demo in; it ends when it has."""
    return ChildSpec(name="demo", argv=manage("demo_load"))


class Supervisor:
    """Starts children, revives the dead, replaces the hung, and stops them all."""

    def __init__(self, *, show: Callable[[str, str], None]) -> None:
        self.world: list[Child] = []
        self.desk: list[Child] = []
        self.stopping = threading.Event()
        self._show = show
        self._groups = groups_file()
        self._watched_mono = 0.0

    @property
    def children(self) -> list[Child]:
        return [*self.world, *self.desk]

    def listen_for_stop(self) -> None:
        """Stop on Ctrl+C and on SIGTERM."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.stopping.set())

    def end_leftovers(self) -> None:
        """End what an earlier supervisor that was killed left behind."""
        for name in self._groups.end_leftovers():
            self._show("up", f"ended {name}, left running by an earlier start")

    def start_world(self) -> None:
        """Start what the desk talks to."""
        self._start(outside_world(), self.world)

    def start_desk(self) -> None:
        """Start the desk itself."""
        self._start(desk(), self.desk)

    def _start(self, specs: list[ChildSpec], among: list[Child]) -> None:
        for spec in specs:
            child = Child(spec, self._show)
            among.append(child)
            hand_back(child)
            child.start()
        self._groups.write(self.children)

    def run_once(self, spec: ChildSpec) -> None:
        """Run something to its end beside the others; it has to be able to go on after an interruption."""
        child = Child(spec, self._show)
        child.start()
        try:
            while child.is_running:
                if self.stopping.wait(0.1):
                    raise KeyboardInterrupt
                self._revive()
        finally:
            child.kill()

    def watch(self) -> None:
        """Keep all running until somebody asks to stop."""
        while not self.stopping.wait(LOOK_EVERY_S):
            self._revive()
            if time.monotonic() - self._watched_mono >= WATCH_EVERY_S:
                self._watched_mono = time.monotonic()
                self._end_the_hung()

    def _revive(self) -> None:
        revived = [child for child in self.children if child.revive()]
        for child in revived:
            hand_back(child)
        if revived:
            self._groups.write(self.children)

    def _end_the_hung(self) -> None:
        for child in self.children:
            try:
                hung = _is_hung(child)
            except DatabaseError as error:
                logger.warning("could not look for signs of life: {}", error)
                return
            if hung:
                self._show(child.spec.name, "gives no sign of life; replaced")
                child.kill()

    def stop(self) -> None:
        """Stop everything and leave nothing behind; the outside world last, since a session may be using it."""
        stop_all(self.desk, within_s=DESK_STOPS_WITHIN_S)
        stop_all(self.world, within_s=WORLD_STOPS_WITHIN_S)
        self._groups.path.unlink(missing_ok=True)

    def wait_until(self, what: str, is_ready: Callable[[], bool]) -> None:
        """Wait for a condition while the children run.

        Raises
        ------
        StartUpError
            Names what did not come up in time, or whose settings are wrong.
        """
        deadline = time.monotonic() + READY_WITHIN_S
        while not is_ready():
            if time.monotonic() > deadline:
                raise StartUpError(f"{what} did not come up within {READY_WITHIN_S:.0f} s; its lines above say why")
            if self.stopping.wait(0.1):
                raise KeyboardInterrupt
            self._give_up_on_wrong_settings()
            self._revive()

    def _give_up_on_wrong_settings(self) -> None:
        for child in self.children:
            if child.exit_code in WRONG_SETTINGS:
                raise StartUpError(f"{child.spec.name} refuses its settings; its lines above say why")


def groups_file() -> GroupsFile:
    """Return the file that says what ``up`` has started."""
    return GroupsFile(Path(settings.RUN_DIR) / "up.json")


@contextmanager
def alone() -> Iterator[None]:
    """Hold this state for one ``up``, or for what may not happen beside one.

    Raises
    ------
    AlreadyUpError
        Another process holds it. The system takes the lock back when its holder dies.
    """
    try:
        lock = FolderLock(Path(settings.RUN_DIR) / "up.lock")
    except BlockingIOError:
        raise AlreadyUpError(f"`up` runs on {settings.STATE_DIR} already: stop it first (Ctrl+C)") from None
    try:
        yield
    finally:
        lock.release()


def hand_back(child: Child) -> None:
    """Let a new cluster have the tasks that the one before it took and did not end.

    A cluster locks what it fetches for `retry` seconds, far longer than a desk may stand still; a heartbeat among them
    would even keep the next one from being sent. Handing out twice is harmless: a run's row is begun once.
    """
    queue = child.spec.env.get("Q_CLUSTER_NAME")
    if not queue:
        return
    now = timezone.now()
    try:
        OrmQ.objects.filter(key=queue, lock__gt=now).update(lock=now)
    except DatabaseError as error:
        logger.warning("tasks of the {} queue could not be handed back: {}", queue, error)


def _is_hung(child: Child) -> bool:
    """Return whether a process runs and yet does nothing: measured by what went through it, not by its pid."""
    if not child.is_running or time.monotonic() - child.started_mono < GRACE_S:
        return False
    if child.spec.name == "sentinel":
        return heartbeats.age_s("sentinel") > SENTINEL_DEAD_AFTER_S
    if child.spec.name == "notifier":
        return heartbeats.age_s("notifier") > NOTIFIER_DEAD_AFTER_S
    queue = child.spec.env.get("Q_CLUSTER_NAME")
    # Without a sentinel nobody sends heartbeats through the queues, which then say nothing.
    return bool(queue) and heartbeats.age_s("sentinel") < SENTINEL_DEAD_AFTER_S and queues.is_dead(str(queue))


def require_free_port() -> None:
    """Say at once that something else listens where the site will.

    Raises
    ------
    StartUpError
        With what to set.
    """
    family = socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.HOST, settings.PORT))
        except OSError as error:
            where = f"{settings.HOST}:{settings.PORT}"
            raise StartUpError(f"cannot listen on {where} ({error.strerror}): set another PORT or HOST") from None


def is_site_up() -> bool:
    """Return whether the site answers."""
    headers = {"Host": _known_host(), "X-Forwarded-Proto": "https" if settings.HTTPS else "http"}
    try:
        answer = requests.get(f"{site_address()}/healthz", headers=headers, timeout=2, allow_redirects=False)
    except requests.RequestException:
        return False
    return bool(answer.status_code == requests.codes.ok)


def _known_host() -> str:
    """Return a name that the site answers to, whatever address it listens on."""
    names = [name for name in settings.ALLOWED_HOSTS if not name.startswith((".", "*"))]
    return names[0] if names else settings.HOST


def site_address() -> str:
    """Return where a browser on this machine finds the site."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  # to be replaced, not bound
    return f"http://{everywhere.get(settings.HOST, settings.HOST)}:{settings.PORT}"
