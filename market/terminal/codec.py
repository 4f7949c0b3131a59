"""Values of the module as JSON, and arrays as the raw bytes that stand behind it.

Lists, dicts with string keys and scalars are plain JSON (Python's dialect: NaN and Infinity are literals). All else is
an object with an ``@`` that names its kind. The fields of a struct are written once, in the list ``types`` beside the
value, since ``symbols_get`` returns a thousand structs of 96 fields.
"""

from __future__ import annotations

import json
from collections import namedtuple
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

TAG = "@"
StructType = tuple[str, tuple[str, ...]]  # its name and its fields, in tuple order


def encode(value: Any) -> tuple[dict[str, Any], bytes]:
    """Return the value as ``{"value": tree, "types": [...]}`` and the bytes of its arrays, one after another.

    Raises
    ------
    TypeError
        For anything but None, scalars of Python and NumPy, strings, lists, tuples, dicts, structs (tuples with
        ``_asdict``), aware datetimes, and arrays without Python objects.
    ValueError
        For a datetime without a time zone.
    """
    encoder = _Encoder()
    tree = encoder.tree(value)
    return {"value": tree, "types": list(encoder.types)}, b"".join(encoder.chunks)


def decode(document: dict[str, Any], blob: bytes | memoryview) -> Any:
    """Return the value that ``encode`` was given: structs as named tuples, arrays as writable copies."""
    types = [(name, tuple(fields)) for name, fields in document.get("types", ())]
    return _Decoder(types, blob).value(document["value"])


def encode_argument(value: Any) -> Any:
    """Return one argument of a call as plain JSON; arguments hold neither arrays nor structs."""
    encoder = _Encoder()
    tree = encoder.tree(value)
    if encoder.types or encoder.chunks:
        raise TypeError(f"an argument is a scalar, a datetime, a list or a dict, not {type(value).__name__}")
    return tree


def decode_argument(tree: Any) -> Any:
    """Return the argument that ``encode_argument`` was given."""
    return _Decoder([], b"").value(tree)


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value out of JSON is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def dumps(document: dict[str, Any]) -> bytes:
    """Return the document as compact ASCII JSON on one line."""
    return json.dumps(document, separators=(",", ":")).encode("ascii")


@dataclass
class _Encoder:
    types: dict[StructType, int] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    n_bytes: int = 0

    def tree(self, value: Any) -> Any:
        if value is None or isinstance(value, (str, int, float)):
            return value
        if isinstance(value, np.generic):
            return self.tree(_python_scalar(value))
        if isinstance(value, (np.ndarray, tuple, datetime)):
            return self._tagged(value)
        if isinstance(value, list):
            return [self.tree(item) for item in value]
        if isinstance(value, dict):
            return self._dict(value)
        raise TypeError(f"{type(value).__name__} cannot be sent: {value!r:.80}")

    def _tagged(self, value: Any) -> dict[str, Any]:
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, datetime):
            return {TAG: "datetime", "iso": _utc(value).isoformat()}
        if hasattr(value, "_asdict"):
            return self._struct(value)
        return {TAG: "tuple", "items": [self.tree(item) for item in value]}

    def _dict(self, value: dict[Any, Any]) -> dict[str, Any]:
        if TAG not in value and all(type(key) is str for key in value):
            return {key: self.tree(item) for key, item in value.items()}
        return {TAG: "dict", "items": [[self.tree(key), self.tree(item)] for key, item in value.items()]}

    def _struct(self, value: Any) -> dict[str, Any]:
        # _asdict() is all that the vendor's structs promise: they have no _fields.
        fields = value._asdict()
        kind = (type(value).__name__, tuple(fields))
        index = self.types.setdefault(kind, len(self.types))
        return {TAG: "struct", "type": index, "items": [self.tree(item) for item in fields.values()]}

    def _array(self, array: NDArray[Any]) -> dict[str, Any]:
        if array.dtype.hasobject:
            raise TypeError(f"an array of Python objects cannot be sent, dtype {array.dtype}")
        descr: Any = np.lib.format.dtype_to_descr(array.dtype)
        tree = {TAG: "array", "dtype": descr, "shape": list(array.shape), "at": self.n_bytes}
        chunk = array.tobytes()  # in C order whatever the layout was
        self.chunks.append(chunk)
        self.n_bytes += len(chunk)
        return tree


@dataclass
class _Decoder:
    types: list[StructType]
    blob: bytes | memoryview

    def value(self, tree: Any) -> Any:
        if isinstance(tree, list):
            return [self.value(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        if TAG not in tree:
            return {key: self.value(item) for key, item in tree.items()}
        return self._tagged(tree[TAG], tree)

    def _tagged(self, kind: str, tree: dict[str, Any]) -> Any:
        if kind == "tuple":
            return tuple(self.value(tree["items"]))
        if kind == "struct":
            return struct_class(*self.types[tree["type"]])(*self.value(tree["items"]))
        if kind == "array":
            return self._array(tree)
        if kind == "datetime":
            return _utc(datetime.fromisoformat(tree["iso"]))
        if kind == "dict":
            return {self.value(key): self.value(item) for key, item in tree["items"]}
        raise ValueError(f"no value of the kind {kind!r}; known: array, datetime, dict, struct, tuple")

    def _array(self, tree: dict[str, Any]) -> NDArray[Any]:
        dtype = np.lib.format.descr_to_dtype(_as_descr(tree["dtype"]))
        whole: NDArray[Any] = np.ndarray(tuple(tree["shape"]), dtype, buffer=self.blob, offset=tree["at"])
        return whole.copy()


@lru_cache(maxsize=64)
def struct_class(name: str, fields: tuple[str, ...]) -> Any:
    """Return the class of the decoded structs of this name and these fields."""
    return namedtuple(name, fields)


def _python_scalar(value: np.generic) -> Any:
    scalar = value.item()
    if not isinstance(scalar, (bool, int, float, str)):
        raise TypeError(f"a NumPy scalar of dtype {value.dtype} cannot be sent")
    return scalar


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        # The module would read it in this machine's zone, which nobody meant.
        raise ValueError(f"a datetime needs a time zone, was {moment.isoformat()}")
    return moment.astimezone(UTC)


def _as_descr(tree: Any) -> Any:
    """Return the dtype description with the tuples that JSON turned into lists."""
    return tree if isinstance(tree, str) else [_as_field(item) for item in tree]


def _as_field(item: list[Any]) -> tuple[Any, ...]:
    name, descr, *shape = item
    titled = tuple(name) if isinstance(name, list) else name
    return (titled, _as_descr(descr), *(tuple(axis) for axis in shape))
