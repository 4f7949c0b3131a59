"""``python -m tests.mutation [PART ...]``: break the code that decides about money, and count what the tests notice.

Cosmic Ray makes the mutants. They are never written to disk: each is imported from memory by a child that was forked
from a process which has everything but the project's own modules loaded, so that a mutant costs its tests and not a
start of Python, pytest and Django. ``tests/mutation.toml`` names the parts, the tests that decide, and the mutants
that change nothing, with the reason.
"""

from __future__ import annotations

import ast
import gc
import importlib
import os
import re
import signal
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType

import pytest

ROOT = Path(__file__).resolve().parents[1]
CONFIG = Path(__file__).with_suffix(".toml")
PLUGINS = (
    "django",
    "xdist",
    "asyncio",
    "playwright",
    "warnings",
    "logging",
    "cacheprovider",
    "hypothesispytest",
    "anyio",
)
PYTEST = ["-x", "-q", "-s", "--tb=no", "--no-header", "--no-summary", "--assert=plain", "--import-mode=importlib"]
PYTEST += ["-c", os.devnull, f"--rootdir={ROOT}", *(f"-pno:{plugin}" for plugin in PLUGINS)]
PYTEST += ["--noconftest", "-ptests.conftest"]  # of all the folders' fixtures those that need no database
CPU_LIMIT_S = 10  # processor time, so that a busy machine kills no mutant
# Of each operator its boundary and its opposite. What nobody would mistype dies at once: counting it would flatter.
NEAR = re.compile(
    r"BinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Div|Mod_Div)$"
    r"|ComparisonOperator_(Lt_(LtE|GtE)|LtE_(Lt|Gt)|Gt_(GtE|LtE)|GtE_(Gt|Lt)|Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is)$"
    r"|UnaryOperator_(USub_UAdd|Delete_Not)$|/(?!Replace(Binary|Comparison|Unary)Operator)"
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module's source with one change."""

    module: str
    operator: str
    line: int
    text: str  # the changed line, stripped
    source: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line} {self.operator.removeprefix('core/')}: {self.text}"


@dataclass(frozen=True, slots=True)
class Part:
    """Modules, and the tests that decide about their mutants."""

    name: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]
    members: str = ""  # an enum whose members are swapped, too: the values of a table
    forget: tuple[str, ...] = ()  # packages that are imported anew for each mutant


class _Comparable(ast.NodeTransformer):
    """Reduce a module to what runs: annotations, slots and keyword-only are no behaviour."""

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        self.generic_visit(node)
        names = [*node.posonlyargs, *node.args, *node.kwonlyargs]
        return ast.List([*(ast.Constant(arg.arg) for arg in names), *node.defaults, *filter(None, node.kw_defaults)])

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(node.arg)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        for call in (found for found in node.decorator_list if isinstance(found, ast.Call)):
            call.keywords = [word for word in call.keywords if word.arg not in ("slots", "kw_only")]
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def _comparable(source: str) -> str:
    return ast.dump(_Comparable().visit(ast.parse(source)))


def mutants(part: Part, module: str) -> Iterator[Mutant]:
    """Yield every mutant of a module that compiles and is not the same code."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    source = (ROOT / module).read_text()
    tree, same = get_ast(source), _comparable(source)
    for name in sorted(operator_names()):
        if not NEAR.search(name) or get_operator(name).arguments():
            continue
        operator = get_operator(name)()
        places = [place for node in ast_nodes(tree) for place in operator.mutation_positions(node)]
        for occurrence, ((line, _), _) in enumerate(places):
            yield from _worth_trying(mutate_code(source, operator, occurrence), same, module, name, line)
    for found in re.finditer(rf"\b{part.members}\.([A-Z]+)\b", source) if part.members else ():
        members = sorted(set(re.findall(rf"\b{part.members}\.([A-Z]+)\b", source)))
        other = members[(members.index(found[1]) + 1) % len(members)]
        changed = f"{source[: found.start(1)]}{other}{source[found.end(1) :]}"
        line = source.count("\n", 0, found.start()) + 1
        yield from _worth_trying(changed, same, module, "core/SwapMember", line)


def _worth_trying(changed: str | None, same: str, module: str, operator: str, line: int) -> Iterator[Mutant]:
    try:
        if changed is None or _comparable(changed) == same:
            return
    except SyntaxError:
        return
    lines = changed.splitlines()
    yield Mutant(module, operator, line, lines[min(line, len(lines)) - 1].strip(), changed)


class _FromMemory(SourceFileLoader, MetaPathFinder):
    """Imports one module from a mutant's source."""

    def __init__(self, module: str, source: str) -> None:
        super().__init__(module.removesuffix(".py").replace("/", ".").removesuffix(".__init__"), str(ROOT / module))
        self._source = source

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        return spec_from_file_location(fullname, self.path, loader=self)

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.path, "exec", dont_inherit=True)


class _Killers:
    """A pytest plugin that runs the tests that killed lately first, and tells the parent which test failed."""

    def __init__(self, tests: tuple[str, ...], latest: list[str], to: int) -> None:
        self._wanted = {path for test in tests for path in (ROOT / test, *(ROOT / test).parents)}
        self._place = {test: place for place, test in enumerate(latest)}
        self._to = to

    def pytest_ignore_collect(self, collection_path: Path) -> bool:
        return collection_path not in self._wanted  # the folder's other files are not even looked at

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: self._place.get(item.nodeid, len(self._place)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            os.write(self._to, report.nodeid.encode())


def survives(part: Part, mutant: Mutant, latest: list[str]) -> bool:
    """Run the part's tests on a mutant in a child; ``latest`` are the tests that killed, the newest first."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        _decide(part, mutant, _Killers(part.tests, latest, theirs))
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        killer = pipe.read()
    if killer in latest:
        latest.remove(killer)
    if killer:
        latest.insert(0, killer)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _decide(part: Part, mutant: Mutant, killers: _Killers) -> None:
    """Never return: the exit code is pytest's."""
    code: int = 70
    try:
        signal.setitimer(signal.ITIMER_PROF, CPU_LIMIT_S)  # a loop without an end is noticed, too
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1), os.dup2(silence, 2)
        sys.meta_path.insert(0, _FromMemory(mutant.module, mutant.source))
        code = int(pytest.main([*PYTEST, *part.tests], plugins=[killers]))
    finally:
        os._exit(code)


def warm_up(part: Part) -> None:
    """Load what a part's tests import, then forget the part's own modules, so that children import them anew."""
    import hypothesis
    import numpy as np  # noqa: F401 (loaded once, for all children)

    # The same examples for every mutant, and no death of a busy machine.
    calm = hypothesis.settings(derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
    hypothesis.settings.register_profile("mutation", calm)
    hypothesis.settings.load_profile("mutation")
    for test in part.tests:
        importlib.import_module(test.removesuffix(".py").replace("/", "."))
    for name in [name for name in sys.modules if name.startswith(("tests.", *part.forget)) and name != __name__]:
        module = sys.modules.pop(name)
        parent, _, attribute = name.rpartition(".")
        if getattr(sys.modules.get(parent), attribute, None) is module:
            delattr(sys.modules[parent], attribute)


def run_part(part: Part, known: set[tuple[str, str]]) -> tuple[int, int, int]:
    """Print the part's survivors; return how many mutants there were, died, and change nothing by our own word."""
    gc.freeze()  # or each child copies what the collector touches
    latest: list[str] = []
    total = killed = equivalent = 0
    for module in part.modules:
        n, dead, same = 0, 0, 0
        unchanged = Mutant(module, "none", 0, "", (ROOT / module).read_text())
        if not survives(part, unchanged, latest):  # or every death would be ours
            raise SystemExit(f"{part.name}: its tests fail with {module} as it is")
        for mutant in mutants(part, module):
            n += 1
            if not survives(part, mutant, latest):
                dead += 1
            elif (module, mutant.text) in known:
                same += 1
            else:
                print(f"  survived: {mutant}", flush=True)
        print(f"{module}: {dead} of {n} killed, {same} of the rest change nothing", flush=True)
        total, killed, equivalent = total + n, killed + dead, equivalent + same
    return total, killed, equivalent


def read_config() -> tuple[dict[str, Part], set[tuple[str, str]], float]:
    """Return the parts by name, the mutants that change nothing, and the least share to be killed."""
    config = tomllib.loads(CONFIG.read_text())
    parts = {}
    for name, values in config["part"].items():
        modules = tuple(str(path.relative_to(ROOT)) for glob in values["modules"] for path in sorted(ROOT.glob(glob)))
        sources = tuple(module for module in modules if (ROOT / module).stat().st_size)
        forget = tuple(values.get("forget", ()))
        parts[name] = Part(name, sources, tuple(values["tests"]), values.get("members", ""), forget)
    known = {(found["module"], found["mutant"]) for found in config.get("equivalent", ())}
    return parts, known, config["least_killed"]


def main(names: list[str]) -> int:
    """Run the named parts, or all; 1 when fewer are killed than the least share."""
    parts, known, least = read_config()
    if unknown := sorted(set(names) - set(parts)):
        raise SystemExit(f"no part {unknown[0]!r}; known: {', '.join(parts)}")
    codes = {}
    for name in names or list(parts):
        if child := os.fork():  # a part of its own begins with nothing of ours imported
            codes[name] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            continue
        warm_up(parts[name])
        total, killed, equivalent = run_part(parts[name], known)
        share = killed / total
        print(f"{name}: {killed} of {total} mutants killed, {share:.1%}; {equivalent} change nothing", flush=True)
        os._exit(0 if share >= least else 1)
    return int(any(codes.values()))


if __name__ == "__main__":
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        os.environ["STATE_DIR"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingsite.settings")
        import django

        django.setup()
        sys.exit(main(sys.argv[1:]))
