"""Rows in COPY's binary format, taken apart as PostgreSQL's manual describes it."""

from __future__ import annotations

import struct

import numpy as np

from market.copying import as_tuples


def test_each_row_is_its_number_of_fields_and_each_field_its_length_and_value():
    columns = [np.array([1.5, -0.0, np.inf]), np.array([2.0**60, np.nan, 3.0])]

    packed = as_tuples(columns)

    assert len(packed) == 3 * (2 + 2 * (4 + 8))
    rows = [struct.unpack(">hidid", packed[at : at + 26]) for at in range(0, len(packed), 26)]
    assert [row[:2] + row[3:4] for row in rows] == [(2, 8, 8)] * 3
    np.testing.assert_array_equal(np.array([[row[2], row[4]] for row in rows]).T, np.array(columns))
    assert np.signbit(rows[1][2])
