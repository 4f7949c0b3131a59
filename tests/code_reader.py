"""What our code says of itself, read from its text: the variables that it takes from the environment, its alerts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
APPS = ("execution", "market", "mlfilter", "ops", "simulator", "strategies", "tradingsite")
# Our own readers of settings, and the methods that are one when they are those of an environment.
READERS = {"choice", "bridge_timezone", "read_or_create_key", "_read"}
METHODS = {"str", "int", "bool", "list", "float", "get"}
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]+")
ENVIRONMENT = re.compile(r"\benv(iron)?\b")


def sources() -> list[Path]:
    """Return every module of ours."""
    return [path for app in APPS for path in sorted((ROOT / app).rglob("*.py"))]


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call with the last part of the called name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            yield (function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")), node


def assigned(tree: ast.AST, name: str) -> list[ast.expr]:
    """Return everything that a module assigns to a name, wherever."""
    assignments = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    return [node.value for node in assignments if isinstance(node.targets[0], ast.Name) and node.targets[0].id == name]


def environment_variables() -> set[str]:
    """Return every variable that our code reads."""
    found: set[str] = set()
    for path in sources():
        tree = ast.parse(path.read_text())
        for function, call in calls(tree):
            if function in READERS or (function in METHODS and ENVIRONMENT.search(ast.unparse(call.func))):
                found |= {
                    text for given in call.args[:2] for text in _texts(given, tree, path) if VARIABLE.fullmatch(text)
                }
    return found


def alert_keys() -> set[str]:
    """Return the key of every alert that is raised, or held as a trouble; what varies in it is a star."""
    keys: set[str] = set()
    for path in sources():
        tree = ast.parse(path.read_text())
        for function, call in calls(tree):
            if function in ("raise_alert", "Trouble"):
                keys |= _texts(call.args[0], tree, path)
    return keys


def _texts(node: ast.expr, tree: ast.Module, path: Path) -> set[str]:
    """Return what a text may be: itself, a template, or what the module or another one gives its name."""
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) else set()
    if isinstance(node, ast.JoinedStr):
        return {"".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "venue_key":
        return _texts(node.args[1], tree, path)  # other venues' keys begin with the venue's
    if not isinstance(node, ast.Name):
        return set()
    given = [text for value in assigned(tree, node.id) for text in _texts(value, tree, path)]
    if given or not node.id.isupper():
        return set(given)
    module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    value = getattr(module, node.id)
    return {value} if isinstance(value, str) else set()


def defaults_in(path: Path) -> dict[str, object]:
    """Return the defaults that a module's readers of settings write down as plain values."""
    found: dict[str, object] = {}
    for _, call in calls(ast.parse(path.read_text())):
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        name = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
        default = given.get("default")
        if isinstance(name, str) and VARIABLE.fullmatch(name) and isinstance(default, ast.Constant):
            found[name] = default.value
    return found
