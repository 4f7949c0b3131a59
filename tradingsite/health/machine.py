"""What the desk runs on: interpreter, packages, folders, database, outbox, queues, static files."""

from __future__ import annotations

import json
import shutil
import stat
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core import checks
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from ops import heartbeats, queues
from ops.live import announce
from ops.models import Announcement
from tradingsite.children import PROJECT
from tradingsite.health.finding import Finding, fail, ok, skip, warn
from tradingsite.health.packages import check_packages
from tradingsite.supervisor import SENTINEL_DEAD_AFTER_S, groups_file

OLDEST_PYTHON = (3, 11)
FREE_BYTES = 1_000_000_000
PRIVATE = 0o600
TOPIC = "doctor"


def check_environment() -> Iterator[Finding]:
    """Look at Python, packages, folders, secrets and Django's own checks."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        yield fail("Python", f"{version}, 3.11 or newer is needed", fix="make clean && make up PYTHON=python3.11")
    else:
        yield ok("Python", version)
    yield from check_packages(PROJECT / "requirements.txt")
    yield _state_dir()
    yield _secrets()
    yield _system_checks()


def _state_dir() -> Finding:
    folder = Path(settings.STATE_DIR)
    probe = folder / f".doctor.{uuid.uuid4().hex}"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        return fail("STATE_DIR", f"{folder} cannot be written: {error.strerror}", fix=f"chown -R $USER {folder}")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        return warn("STATE_DIR", f"{folder} is open to others (mode {mode:o})", fix=f"chmod 700 {folder}")
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        return warn("STATE_DIR", f"{free / 1e9:.1f} GB are left on its disk", fix=f"du -sh {folder}/*")
    return ok("STATE_DIR", f"{folder} is writable, {free / 1e9:.0f} GB are free")


def _secrets() -> Finding:
    """Look at the modes of everything that holds a key, a token or a password."""
    folder = Path(settings.STATE_DIR)
    files = [*folder.glob("keys/*"), *folder.glob("run/*.json"), folder / "demo-password"]
    present = [path for path in files if path.is_file()]
    wide = [path for path in present if stat.S_IMODE(path.stat().st_mode) & ~PRIVATE]
    if wide:
        names = ", ".join(str(path.relative_to(folder)) for path in wide)
        return fail("secrets", f"others can read {names}", fix=f"chmod 600 {' '.join(map(str, wide))}")
    return ok("secrets", f"{len(present)} files with mode 600")


def _system_checks() -> Finding:
    """Run Django's checks; those of a deployment where money is real."""
    found = checks.run_checks(include_deployment_checks=settings.TRADING_MODE == "live")
    serious = [message for message in found if message.is_serious()]
    if serious:
        return fail("system checks", f"{serious[0].id}: {serious[0].msg}", fix="manage.py check")
    if found:
        return warn("system checks", f"{found[0].id}: {found[0].msg}", fix="manage.py check --deploy")
    return ok("system checks", "no findings")


def check_database() -> Iterator[Finding]:
    """Look at the connection, the migrations and SQLite's journal."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    yield ok("connection", f"{connection.vendor} answers")
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if waiting:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in waiting[:3])
        yield fail("migrations", f"{len(waiting)} not applied: {names}", fix="manage.py migrate")
    else:
        yield ok("migrations", "all applied")
    yield _journal()


def _journal() -> Finding:
    if connection.vendor != "sqlite":
        return skip("journal", "PostgreSQL has its own")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        [mode] = cursor.fetchone()
    if mode != "wal":
        fix = f"sqlite3 {connection.settings_dict['NAME']} 'PRAGMA journal_mode=WAL'"
        return fail("journal", f"mode {mode}: writers would stop readers; a network disk cannot do WAL", fix=fix)
    return ok("journal", "WAL")


def check_outbox() -> Iterator[Finding]:
    """Write an announcement as a service does, and read it back as a page does."""
    mark = uuid.uuid4().hex
    with transaction.atomic():
        announce(TOPIC, {"mark": mark})
    written = Announcement.objects.filter(topic=TOPIC)
    found = any(news.payload == {"mark": mark} for news in written)
    written.delete()
    if found:
        yield ok("outbox", "an announcement came back")
    else:
        yield fail("outbox", "an announcement did not come back: pages would not move", fix="manage.py migrate")


def check_queues() -> Iterator[Finding]:
    """Look at the signs of life of the sentinel, and of each queue through itself."""
    age = heartbeats.age_s("sentinel")
    if age > SENTINEL_DEAD_AFTER_S and not groups_file().is_supervised():
        yield skip("sentinel", "nothing runs: `manage.py up` is not started")
        return
    if age > SENTINEL_DEAD_AFTER_S:
        yield fail("sentinel", f"its last sign of life is {age:.0f} s old", fix="manage.py sentinel")
        return
    yield ok("sentinel", f"alive {age:.0f} s ago")
    for queue in queues.QUEUES:
        yield _queue(queue)


def _queue(queue: str) -> Finding:
    age = heartbeats.age_s(queues.beat_name(queue))
    if age <= queues.DEAD_AFTER_S:
        return ok(queue, f"a heartbeat went through {age:.0f} s ago")
    if not queues.is_dead(queue):
        return ok(queue, "busy with a run that gives signs of life")
    detail = "no heartbeat ever went through" if age == float("inf") else f"its last heartbeat is {age:.0f} s old"
    return fail(queue, f"{detail}; `up` replaces it by itself", fix=f"Q_CLUSTER_NAME={queue} manage.py qcluster")


def check_static() -> Iterator[Finding]:
    """Look for the collected files that the pages name."""
    manifest = Path(settings.STATIC_ROOT) / "staticfiles.json"
    try:
        names = json.loads(manifest.read_text())["paths"].values()
    except (OSError, ValueError, KeyError):
        yield fail("manifest", f"{manifest} is not there", fix="manage.py collectstatic --no-input")
        return
    missing = [name for name in names if not (manifest.parent / name).is_file()]
    if missing:
        fix = "manage.py collectstatic --no-input --clear"
        yield fail("manifest", f"{len(missing)} files are missing, like {missing[0]}", fix=fix)
    else:
        yield ok("manifest", f"{len(names)} files collected")
