"""A desk that was fitted once and is opened as often as tests like: bringing in and fitting a year takes seconds.

What is kept is what fitting leaves behind, the stored bars and the models; each test gets a market, an account and a
state folder of its own. A test file uses it so, without the mark that empties the database after each test::

    @pytest.fixture(scope="module")
    def fitted(tmp_path_factory, django_db_setup, django_db_blocker):
        with django_db_blocker.unblock(), fitted_database(tmp_path_factory) as fitted:
            yield fitted

    @pytest.fixture
    def desk(fitted, tmp_path):
        with fitted.opened(tmp_path) as opened:
            yield opened
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import setup_databases, teardown_databases

from tests.desk import Desk, fit_desk, open_desk
from tests.fresh_database import empty, is_test_database, remember

SYMBOLS = ("BTCUSD", "ETHUSD", "BNBUSD")


@dataclass(frozen=True, eq=False)
class FittedDesk:
    """The stored bars and the models of three symbols."""

    models: Path
    rows: sqlite3.Connection | None  # None: a database that cannot be copied as a whole

    @contextmanager
    def opened(self, state_dir: Path, **world: object) -> Iterator[Desk]:
        """Open a new desk that has them, and nothing of what another test has left in the database."""
        shutil.copytree(self.models, state_dir / "models")
        if self.rows is None:
            empty()
        else:
            connection.ensure_connection()
            self.rows.backup(connection.connection)
        with open_desk(state_dir, **world) as desk:
            if self.rows is None:
                fit_desk(*SYMBOLS)
            yield desk


@contextmanager
def fitted_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FittedDesk]:
    """Lend the test database to the tests of one file, and give it back empty."""
    with _test_database():
        yield fitted_once(tmp_path_factory)
        empty()


@contextmanager
def _test_database() -> Iterator[None]:
    """Make the test database where no test of the session bears the mark by which pytest-django would have."""
    if is_test_database():
        yield
        return
    made = setup_databases(verbosity=0, interactive=False)
    try:
        with pytest.MonkeyPatch.context() as patch:
            remember(patch)
            yield
    finally:
        teardown_databases(made, verbosity=0)


def fitted_once(tmp_path_factory: pytest.TempPathFactory) -> FittedDesk:
    """Fit in the test database, which is empty before and after; asked again by the same process, do nothing."""
    return _fitted(tmp_path_factory.getbasetemp())


@cache
def _fitted(base: Path) -> FittedDesk:
    folder = base / "fitted"
    folder.mkdir()
    empty()
    try:
        with open_desk(folder, armed=False):
            fit_desk(*SYMBOLS)
        return FittedDesk(folder / "models", _copy_of_rows())
    finally:
        empty()


def _copy_of_rows() -> sqlite3.Connection | None:
    """Return the database with the rows that fitting left; those of the desk that it happened on are not its own."""
    if connection.vendor != "sqlite":
        return None
    copy = sqlite3.connect(":memory:")
    connection.connection.backup(copy)
    tables = [name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        if table.startswith(("execution_", "ops_", "django_q_")):
            copy.execute(f'DELETE FROM "{table}"')
    copy.commit()
    return copy
