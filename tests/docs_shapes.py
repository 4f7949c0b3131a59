"""What ``docs/commands.md`` says of a command's document, and whether one that came has just these fields."""

from __future__ import annotations

import re
from typing import Any

from tests.docs_reader import DOCS, codes, subsections

COMMANDS = subsections(DOCS / "commands.md")
Shape = dict[str, Any]


def documented(command: str, label: str) -> dict[str, str]:
    """Return a command's lines that begin with a label, by what stands between label and colon."""
    found = re.findall(rf"^- {label}(.*?): (.*)$", COMMANDS[command], re.MULTILINE)
    return {condition.removeprefix(" with ").strip("`"): text for condition, text in found}


def shape_of(text: str) -> Shape:
    """Return ``a, b: [{c, d}]`` as ``{"a": None, "b": {"c": None, "d": None}}``; a final ``…`` stays a name."""
    tokens = re.findall(r"\w+|…|[{},:\[\]]", text)

    def fields() -> Shape:
        shape: Shape = {}
        while tokens and tokens[0] != "}":
            name = tokens.pop(0)
            shape[name] = None
            if tokens and tokens[0] == ":":
                tokens.pop(0)
                shape[name] = value()
            if tokens and tokens[0] == ",":
                tokens.pop(0)
        return shape

    def value() -> Shape:
        depth = 0
        while tokens[0] == "[":
            tokens.pop(0)
            depth += 1
        assert tokens.pop(0) == "{", text
        shape = fields()
        assert [tokens.pop(0) for _ in range(1 + depth)] == ["}", *["]"] * depth], text
        return shape

    return fields()


def assert_shape(shape: Shape, value: Any, where: str) -> None:
    """Check the names of a document's fields, as deep as the docs go."""
    if value == []:
        return
    value = value[0] if isinstance(value, list) else value
    assert isinstance(value, dict), f"{where} has no fields to compare: {value!r}"
    named = set(shape) - {"…"}
    assert named <= set(value), where
    assert named == set(value) or "…" in shape, where
    for name, inner in shape.items():
        if inner is not None:
            assert_shape(inner, value[name], f"{where}.{name}")


def assert_documented(line: str, data: Shape) -> None:
    """Check the data of a command line's document against the docs."""
    shapes = documented(line.split()[0], "Data")
    condition = next((name for name in shapes if name and name in line.split()), "")
    assert_shape(shape_of(codes(shapes[condition])[0]), data, line)
