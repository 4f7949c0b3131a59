"""Fitted models as folders of files: written whole or not at all, and opened only when proved ours.

``MODEL_DIR/{symbol}/{strategy}-{variant}-v{n}/`` holds ``model.joblib`` and ``manifest.json``. Unpickling runs code,
so ``load`` checks, in this order: the place (inside the folder, no symbolic link), the manifest's signature, that it
speaks of the model asked for, the columns, the libraries, and the hash of the very bytes that it then unpickles.

A library whose major version differs from the one that wrote the file refuses it: pickles promise nothing across
those. A smaller difference is a warning, because what we store is plain numbers in classes of our own.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from strategies.manifests import (
    Manifest,
    ModelExistsError,
    ModelFileError,
    ModelMissingError,
    ModelRefusedError,
    ModelStaleError,
    Slot,
    seal,
    unseal,
)
from strategies.provenance import library_versions

MODEL_FILE = "model.joblib"
MANIFEST_FILE = "manifest.json"
MAX_MANIFEST_BYTES = 1_000_000  # read before anything is verified, so bounded
MAX_CACHED = 4096  # models kept open in one process; 50 symbols x 20 models x a few versions
UNFINISHED = ".unfinished-"
ABANDONED_AFTER = timedelta(hours=1)  # no fit writes for so long
MAX_NAME = 120  # characters of one folder's name; file systems allow 255 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredModel:
    """A model that was read back from its file.

    Attributes
    ----------
    path : str
        Of the folder, relative to the models' folder, with forward slashes.
    warnings : tuple of str
        What differs from when it was written without being a reason to refuse.
    """

    path: str
    manifest: Manifest
    estimator: Any
    warnings: tuple[str, ...] = ()


def folder_of(slot: Slot) -> str:
    """Return where a model is stored, relative to the models' folder; whatever the names, never outside it."""
    return f"{_component(slot.symbol)}/{_stem(slot)}-v{slot.version}"


def latest_version(root: Path, slot: Slot) -> int:
    """Return the highest version of the slot that has a folder, 0 when none has."""
    numbered = re.compile(re.escape(_stem(slot)) + r"-v(\d+)")
    folder = root / _component(slot.symbol)
    matches = [numbered.fullmatch(path.name) for path in folder.iterdir()] if folder.is_dir() else []
    return max((int(match[1]) for match in matches if match), default=0)


def save(root: Path, manifest: Manifest, estimator: Any, *, key: bytes) -> StoredModel:
    """Write a fitted model, and return it as read back.

    Both files are written and flushed to disk in a temporary folder, loaded from there as any reader would, and the
    folder is renamed into place: a crash at any moment leaves the whole model or none.

    Raises
    ------
    ModelExistsError
        The slot's version has a folder already: another fit was first.
    ModelFileError
        What was written cannot be read back.
    ValueError
        A parameter or fitted value is not finite.
    """
    path = folder_of(manifest.slot)
    home = root / PurePosixPath(path).parent
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=home))
    try:
        _write_both(draft, manifest, estimator, key)
        written = _open_verified(draft, path, manifest.slot, key)
        _move_into_place(draft, root / path, manifest.slot)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    _flush_folder(home)
    return written


def load(root: Path, path: str, *, slot: Slot, sha256: str, sources: Mapping[str, str], key: bytes) -> StoredModel:
    """Return the model stored at ``path``, verified; unchanged files that were verified before are not read again.

    Parameters
    ----------
    root : Path
        The models' folder; ``path`` is relative to it.
    slot, sha256 : Slot, str
        What the registry says is stored there: an older model of ours copied over a newer one is refused too.
    sources : mapping of str to str
        Columns that today's bars have, and where each comes from.
    key : bytes
        What manifests are signed with.

    Raises
    ------
    ModelMissingError, ModelStaleError, ModelRefusedError
        The message names the file relative to ``root`` and what to do.
    """
    try:
        folder = _inside(root, path)
        stamps = tuple(_stamp(folder / name) for name in (MANIFEST_FILE, MODEL_FILE))
        stored = _cached(folder, path, slot, key, stamps)
        if stored.manifest.file_sha256 != sha256:
            raise ModelRefusedError("its SHA-256 is not the one in the registry")
        _check_columns(stored.manifest, sources)
    except ModelFileError as error:
        raise type(error)(f"{path}: {error}; {slot.refit()}") from error
    return stored


def content_hash(estimator: Any) -> str:
    """Return the SHA-256 that a fitted model's file would have."""
    return hashlib.sha256(_dump(estimator)).hexdigest()


def remove(root: Path, stored: StoredModel) -> None:
    """Delete a model that this process wrote and could not register."""
    shutil.rmtree(root / stored.path)


def remove_abandoned(root: Path, *, now: datetime) -> int:
    """Delete what fits that were killed while writing left behind, and return how many."""
    before = (now - ABANDONED_AFTER).timestamp()
    old = [path for path in root.glob(f"*/{UNFINISHED}*") if _modified_at(path) < before]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return len(old)


def _modified_at(path: Path) -> float:
    """Return when, in unix seconds; for ever in the future when another fit just finished it and it is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


# --- names ----------------------------------------------------------------------------------------------------------


def _stem(slot: Slot) -> str:
    return _component("-".join(filter(None, (slot.strategy, slot.variant))))


def _component(name: str) -> str:
    """Return ``name`` as one plain component of a path, different for different names.

    A parameter's ``=`` and ``,`` become ``-``. Whatever else is not a letter, a digit or one of ``._+#-`` does too, and
    then a piece of the name's hash keeps names apart that would come out the same.
    """
    plain = re.sub(r"[^A-Za-z0-9._+#-]", "-", name)
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+#=,-]*", name) and len(plain) <= MAX_NAME:
        return plain
    return f"x-{plain.lstrip('.-')[:MAX_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _inside(root: Path, path: str) -> Path:
    """Return the folder at ``path``, which is where it seems to be: below ``root``, through no link."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or any(part in {"..", "."} or "\\" in part or ":" in part for part in parts):
        raise ModelRefusedError("it is not a place inside the models' folder")
    home = root.resolve()
    folder = home.joinpath(*parts)
    if folder.resolve() != folder:
        raise ModelRefusedError("a symbolic link leads elsewhere")
    return folder


# --- writing --------------------------------------------------------------------------------------------------------


def _write_both(folder: Path, manifest: Manifest, estimator: Any, key: bytes) -> None:
    content = _dump(estimator)
    sealed = seal(replace(manifest, file_sha256=hashlib.sha256(content).hexdigest(), file_bytes=len(content)), key=key)
    for name, data in ((MODEL_FILE, content), (MANIFEST_FILE, sealed)):
        with (folder / name).open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    _flush_folder(folder)


def _dump(estimator: Any) -> bytes:
    import joblib

    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    return buffer.getvalue()


def _move_into_place(draft: Path, final: Path, slot: Slot) -> None:
    """Rename the finished folder; the name is the claim to the version, and only one fit gets it."""
    try:
        draft.rename(final)
    except OSError as error:
        if final.exists():
            raise ModelExistsError(f"{slot} was written by another fit meanwhile; fit again") from error
        raise


def _flush_folder(folder: Path) -> None:
    """Let a rename or a new name in ``folder`` survive a power cut; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- reading --------------------------------------------------------------------------------------------------------


def _stamp(file: Path) -> tuple[int, int, int, int]:
    """Return what changes when a file does; ``ctime`` also when somebody sets ``mtime`` back."""
    try:
        status = file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        raise ModelMissingError(f"{file.name} is missing") from None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size


@lru_cache(maxsize=MAX_CACHED)
def _cached(folder: Path, path: str, slot: Slot, key: bytes, stamps: tuple[tuple[int, ...], ...]) -> StoredModel:
    """Return the verified model; every argument is part of what it was verified for."""
    return _open_verified(folder, path, slot, key)


def _open_verified(folder: Path, path: str, slot: Slot, key: bytes) -> StoredModel:
    """Return the model in ``folder`` after everything but its columns was checked."""
    manifest = unseal(_read(folder / MANIFEST_FILE, MAX_MANIFEST_BYTES), key=key)
    if manifest.slot != slot:
        raise ModelRefusedError(f"it holds {manifest.slot} where {slot} belongs")
    warnings = _check_libraries(manifest)
    content = _read(folder / MODEL_FILE, manifest.file_bytes)
    if hashlib.sha256(content).hexdigest() != manifest.file_sha256:
        raise ModelRefusedError(f"{MODEL_FILE} is not the file that was signed (its SHA-256 differs)")
    return StoredModel(path=path, manifest=manifest, estimator=_unpickle(content), warnings=warnings)


def _read(file: Path, limit: int) -> bytes:
    """Return the content of a plain file, at most one byte more than ``limit``."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        with contextlib.closing(os.fdopen(os.open(file, flags), "rb")) as opened:
            return opened.read(limit + 1)
    except FileNotFoundError:
        raise ModelMissingError(f"{file.name} is missing") from None
    except OSError as error:
        raise ModelRefusedError(f"{file.name} is not a plain file that we can read ({error.strerror})") from error


def _unpickle(content: bytes) -> Any:
    """Return the estimator in bytes that were verified; only a change of our own code can still break it."""
    import joblib

    try:
        return joblib.load(io.BytesIO(content))
    except (pickle.UnpicklingError, ImportError, AttributeError, EOFError, TypeError, ValueError, KeyError) as error:
        raise ModelStaleError(f"{MODEL_FILE} was written by other code ({type(error).__name__}: {error})") from error


def _check_libraries(manifest: Manifest) -> tuple[str, ...]:
    """Return a warning for each library of another version; refuse another major version."""
    warnings = []
    for name, now in library_versions().items():
        then = manifest.libraries.get(name, "none")
        if then.partition(".")[0] != now.partition(".")[0]:
            raise ModelStaleError(f"it was written with {name} {then}, here is {now}")
        if then != now:
            warnings.append(f"{manifest.slot} was written with {name} {then}, here is {now}")
    return tuple(warnings)


def _check_columns(manifest: Manifest, sources: Mapping[str, str]) -> None:
    for name, source in manifest.columns:
        if name not in sources:
            raise ModelStaleError(f"it needs the column {name} from {source}, which today's bars lack")
        if sources[name] != source:
            raise ModelStaleError(f"it was fitted on {name} from {source}, today's comes from {sources[name]}")
