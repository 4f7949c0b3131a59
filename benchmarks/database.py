"""A database for a benchmark alone: whatever the site's is, nothing of it is read or written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.utils import load_backend

ENGINE = "django.db.backends.sqlite3"


@contextmanager
def own_database(app: str) -> Iterator[None]:
    """Let this thread's default database be a new SQLite file with the tables of an app, set up as the site's is."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        site = connections[DEFAULT_DB_ALIAS]
        own = _connect(Path(folder) / "db.sqlite3")
        connections[DEFAULT_DB_ALIAS] = own
        try:
            with own.schema_editor() as editor:
                for model in apps.get_app_config(app).get_models():
                    editor.create_model(model)
            yield
        finally:
            connections[DEFAULT_DB_ALIAS] = site
            own.close()


def _connect(path: Path) -> Any:
    fields = {
        **connections.configure_settings({DEFAULT_DB_ALIAS: {"ENGINE": ENGINE}})[DEFAULT_DB_ALIAS],
        "NAME": str(path),
        "OPTIONS": settings.SQLITE_OPTIONS,
    }
    return load_backend(ENGINE).DatabaseWrapper(fields, DEFAULT_DB_ALIAS)
