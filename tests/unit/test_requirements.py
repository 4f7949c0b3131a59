"""Every package that the code imports is named in the requirements, not merely brought along by another."""

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
OURS = {
    "benchmarks",
    "execution",
    "manage",
    "market",
    "mlfilter",
    "ops",
    "simulator",
    "strategies",
    "tests",
    "tradingsite",
}
FILES = tuple(f"requirements{what}.txt" for what in ("", "-dev", "-scale", "-bench", "-mutation"))
ALONG_WITH = {"asgiref": "django"}  # Django's own half of ASGI: it has no version but Django's


def _named(*files: str) -> set[str]:
    lines = [line.split("#")[0].strip() for file in files for line in (ROOT / file).read_text().splitlines()]
    return {canonicalize_name(Requirement(line).name) for line in lines if line and not line.startswith("-r")}


def _imported(path: Path) -> set[str]:
    """Return the top-level names that a file imports, those inside functions too."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - OURS


def _sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _unnamed(paths: list[Path], *files: str) -> list[str]:
    named, distributions = _named(*files), packages_distributions()
    missing = []
    for path in paths:
        for name in _imported(path):
            brought_by = {canonicalize_name(owner) for owner in distributions.get(name, [name])}
            if not named & (brought_by | {ALONG_WITH.get(name, "")}):
                missing.append(f"{path.relative_to(ROOT)}: {name}")
    return sorted(missing)


@pytest.mark.parametrize("folder", ["execution", "market", "mlfilter", "ops", "simulator", "strategies", "tradingsite"])
def test_what_the_site_imports_is_in_its_requirements(folder):
    assert _unnamed(_sources(folder), "requirements.txt", "requirements-scale.txt") == []


def test_what_tests_and_benchmarks_import_is_in_the_requirements():
    assert _unnamed(_sources("tests", "benchmarks"), *FILES) == []


@pytest.mark.parametrize("file", FILES)
def test_every_requirement_has_an_exact_version(file):
    lines = [line.split("#")[0].strip() for line in (ROOT / file).read_text().splitlines()]
    pins = [str(Requirement(line).specifier) for line in lines if line and not line.startswith("-r")]
    assert pins
    assert all(pin.startswith("==") for pin in pins), pins
