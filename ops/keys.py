"""Secrets: read from the environment or a file, else made once and kept where only the owner reads them."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

MINIMUM_BYTES = 32


def read_or_create_key(name: str, *, folder: Path) -> str:
    """Return the secret from NAME, from the file NAME_FILE, or from ``folder``, where it is made if missing."""
    value = os.environ.get(name) or _from_named_file(name) or _kept(folder / name.lower())
    if len(value.encode()) < MINIMUM_BYTES:
        raise ImproperlyConfigured(f"{name} has {len(value.encode())} bytes: use at least {MINIMUM_BYTES}")
    return value


def _from_named_file(name: str) -> str:
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return ""
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE={path!r} cannot be read: {error}") from error


def _kept(path: Path) -> str:
    if not path.exists():
        _create_once(path, secrets.token_urlsafe(48))
    return path.read_text().strip()


def _create_once(path: Path, text: str) -> None:
    """Let ``path`` hold ``text`` unless another process was first; nobody ever reads a half-written file."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
