"""Empty the test database by copying back what it was when it was made, in a tenth of the time of Django's flush.

Unlike after a flush, what migrations put in (groups and their permissions) is there again, as on a new installation.
"""

from __future__ import annotations

import sqlite3

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import TransactionTestCase

_as_made: sqlite3.Connection | None = None


def remember(patch: pytest.MonkeyPatch) -> None:
    """Keep a copy of the database that was just made, and copy it back where Django would flush."""
    global _as_made
    if connection.vendor != "sqlite" or not is_test_database():
        return
    connection.ensure_connection()
    _as_made = sqlite3.connect(":memory:")
    connection.connection.backup(_as_made)
    patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: empty())


def is_test_database() -> bool:
    """Return whether what we are connected to is there to be emptied."""
    return bool(connection.settings_dict["NAME"] == connection.settings_dict["TEST"]["NAME"])


def empty() -> None:
    """Make the test database what it was when it was made."""
    assert is_test_database(), "this empties the database"
    if _as_made is None:
        call_command("flush", verbosity=0, interactive=False)
    else:
        connection.ensure_connection()
        _as_made.backup(connection.connection)
