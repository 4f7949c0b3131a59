"""What a fitted-model file says about itself, signed so that only our own files are ever opened.

A manifest is a JSON object under ``manifest``, with ``hmac`` (HMAC-SHA256 over its canonical form) and ``key_id``
beside it. The canonical form is JSON with sorted keys and no spaces, so that re-formatting a file changes nothing
and changing any value does. It holds the SHA-256 of the pickle: whoever cannot sign cannot bring a pickle either.

::

    ModelFileError
    ├── ModelMissingError        data: a file is not there
    ├── ModelStaleError          data: written for other columns, libraries or code
    ├── ModelExistsError         another fit took this version: take the next
    └── ModelRefusedError        failed: damaged, forged, misplaced, or signed with another key
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from ops.errors import DeskError, ExitCode
from strategies.families import remedy

FORMAT = 1
# Keeps a signature of a manifest from being a signature of anything else made with the same key.
PURPOSE = b"trading-desk fitted model manifest\n"


class ModelFileError(DeskError):
    """The base of what can be wrong with a stored model; every message ends with what to do."""


class ModelMissingError(ModelFileError):
    """A stored model whose file is gone."""

    exit_code = ExitCode.DATA


class ModelStaleError(ModelFileError):
    """A stored model that is ours and does not fit today's columns, libraries or code."""

    exit_code = ExitCode.DATA


class ModelExistsError(ModelFileError):
    """A version that somebody else wrote first; nothing was changed."""


class ModelRefusedError(ModelFileError):
    """A file that is not, byte for byte, what we wrote at this place; its pickle was not opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What one fitted model is for; ``version`` counts from 1 within (symbol, strategy, variant)."""

    symbol: str
    strategy: str
    variant: str
    version: int

    def __str__(self) -> str:
        return " ".join(filter(None, (self.symbol, self.strategy, self.variant, f"v{self.version}")))

    def refit(self) -> str:
        """Return the sentence that tells a person how to replace this model."""
        return f"refit with `{remedy(self)}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What one stored model was fitted with and on, and the hash of its pickle.

    Attributes
    ----------
    columns : tuple of (name, source)
        What the strategy reads, in order, and where each came from (``mt5``, ``binance``).
    fit_from, fit_to : datetime
        Open times of the first and the last bar, aware UTC.
    data_hash : str
        SHA-256 of the bars (``provenance.bars_hash``).
    libraries : mapping of str to str
        Versions that wrote the pickle.
    file_sha256, file_bytes : str, int
        Of the pickle; empty and 0 until it is written.
    """

    slot: Slot
    strat_weight: float
    params: Mapping[str, Any]
    fitted: Mapping[str, Any]
    columns: tuple[tuple[str, str], ...]
    fit_from: datetime
    fit_to: datetime
    n_bars: int
    data_hash: str
    libraries: Mapping[str, str]
    commit: str
    created_at: datetime
    file_sha256: str = ""
    file_bytes: int = 0


def seal(manifest: Manifest, *, key: bytes) -> bytes:
    """Return the signed manifest as the bytes of ``manifest.json``.

    Raises
    ------
    ValueError
        A parameter or fitted value is not finite, or has no JSON form.
    """
    body = {"format": FORMAT} | {field.name: _as_json(getattr(manifest, field.name)) for field in fields(manifest)}
    signed = {"manifest": body, "key_id": key_id(key), "hmac": _sign(body, key)}
    return (json.dumps(signed, indent=1, allow_nan=False) + "\n").encode()


def unseal(content: bytes, *, key: bytes) -> Manifest:
    """Return the manifest in ``content`` after its signature proved it ours.

    Raises
    ------
    ModelRefusedError
        Not JSON of our shape, signed with another key, or changed since it was signed.
    ModelStaleError
        Ours, but in another format.
    """
    body, signer, signature = _parts(content)
    if not hmac.compare_digest(signer, key_id(key).encode()):
        raise ModelRefusedError("its manifest is signed with another MODEL_SIGNING_KEY")
    if not hmac.compare_digest(signature, _sign(body, key).encode()):
        raise ModelRefusedError("its manifest was changed after it was signed")
    if body["format"] != FORMAT:
        raise ModelStaleError(f"its manifest has format {body['format']!r}, this version reads {FORMAT}")
    return _from_json(body)


def key_id(key: bytes) -> str:
    """Return a short name of the key, so that "another key" can be told from "changed"; it reveals nothing of it."""
    return hmac.new(key, b"key id", hashlib.sha256).hexdigest()[:16]


def canonical(body: Mapping[str, Any]) -> bytes:
    """Return the one byte string that stands for ``body``."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _sign(body: Mapping[str, Any], key: bytes) -> str:
    return hmac.new(key, PURPOSE + canonical(body), hashlib.sha256).hexdigest()


def _parts(content: bytes) -> tuple[dict[str, Any], bytes, bytes]:
    """Return body, key id and signature, trusting nothing of ``content``."""
    try:
        signed = json.loads(content)
        body = signed["manifest"]
        canonical(body)  # refuses NaN and Infinity, which Python's JSON would read
        return body, str(signed["key_id"]).encode(), str(signed["hmac"]).encode()
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelRefusedError("its manifest is damaged") from error


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Slot):
        return {"symbol": value.symbol, "strategy": value.strategy, "variant": value.variant, "version": value.version}
    return value


def _from_json(body: dict[str, Any]) -> Manifest:
    """Return the manifest of a body whose signature was verified, so that its shape is ours."""
    times = {name: datetime.fromisoformat(body[name]) for name in ("fit_from", "fit_to", "created_at")}
    columns = tuple((name, source) for name, source in body["columns"])
    changed = times | {"columns": columns, "slot": Slot(**body["slot"])}
    rest = {name: value for name, value in body.items() if name != "format"}
    return Manifest(**(rest | changed))
