"""Whatever a function of the module may return, or take, crosses the wire unchanged."""

from __future__ import annotations

import json
import keyword
from datetime import UTC, datetime

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from market.terminal.codec import decode, decode_argument, dumps, encode, encode_argument, struct_class

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.timezones())  # noqa: DTZ001
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)


def structs(children):
    def fill(names: tuple[str, ...]):
        return st.tuples(*[children] * len(names)).map(lambda values: struct_class("Struct", names)(*values))

    return st.lists(NAMES, min_size=1, max_size=4, unique=True).map(tuple).flatmap(fill)


def containers(children):
    lists = st.lists(children, max_size=4)
    keys = st.text(max_size=3) | st.just("@") | st.integers()
    return lists | lists.map(tuple) | st.dictionaries(keys, children, max_size=4) | structs(children)


VALUES = st.recursive(SCALARS, containers, max_leaves=12)
ARGUMENTS = st.recursive(
    SCALARS | MOMENTS.map(lambda moment: moment.astimezone(UTC)),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=3), children, max_size=4),
    max_leaves=12,
)
ARRAYS = hnp.arrays(
    hnp.scalar_dtypes() | hnp.array_dtypes(hnp.scalar_dtypes(), max_size=4),
    hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4),
)


def crossed(value):
    document, blob = encode(value)
    return decode(json.loads(dumps(document)), blob)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_values_come_back_unchanged(value) -> None:
    assert repr(crossed(value)) == repr(value)  # NaN is not equal to itself, its text is


@settings(max_examples=100, deadline=None)
@given(ARRAYS, VALUES)
def test_arrays_come_back_bit_by_bit_beside_other_values(array, value) -> None:
    back, beside = crossed((array, [value]))
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, np.ascontiguousarray(array).tobytes())
    assert repr(beside) == repr([value])


@settings(max_examples=100, deadline=None)
@given(ARGUMENTS)
def test_arguments_come_back_unchanged(value) -> None:
    assert repr(decode_argument(json.loads(json.dumps(encode_argument(value))))) == repr(value)


@settings(max_examples=100, deadline=None)
@given(MOMENTS)
def test_datetimes_of_any_zone_keep_their_moment(moment) -> None:
    assert decode_argument(encode_argument(moment)).timestamp() == moment.timestamp()
