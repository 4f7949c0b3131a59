"""Whether what requirements.txt pins is installed and can be imported."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tradingsite.health.finding import Finding, fail, ok, warn

INSTALL = "make -B .venv/.runtime"


def check_packages(requirements: Path) -> Iterator[Finding]:
    """Compare what is installed with the pins, then import it: a broken library shows itself only then."""
    wanted = _wanted(requirements)
    missing = [name for name in wanted if _installed(name) is None]
    if missing:
        yield fail("packages", f"{', '.join(missing)} not installed", fix=INSTALL)
        return
    broken = [problem for name in wanted if (problem := _import_problem(name))]
    other = [f"{name} {_installed(name)}" for name, pin in wanted.items() if not pin.specifier.contains(_version(name))]
    if broken:
        yield fail("packages", broken[0], fix=INSTALL)
    elif other:
        yield warn("packages", f"not the pinned version: {', '.join(other)}", fix=INSTALL)
    else:
        yield ok("packages", f"{len(wanted)} as pinned, all import")


def _wanted(requirements: Path) -> dict[str, Requirement]:
    """Return the pins that this system needs, by name."""
    lines = (line.partition("#")[0].strip() for line in requirements.read_text().splitlines())
    pins = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {pin.name: pin for pin in pins if pin.marker is None or pin.marker.evaluate()}


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _version(name: str) -> str:
    return _installed(name) or "0"


def _import_problem(name: str) -> str | None:
    for module in _modules(name):
        try:
            importlib.import_module(module)
        except ImportError as error:
            return f"{name} cannot be imported: {error}"
    return None


def _modules(name: str) -> list[str]:
    """Return the top-level packages that a distribution brings, as Python names them; hidden ones are its own."""
    brought = _brought()
    return [module for module in brought.get(canonicalize_name(name), ()) if not module.startswith("_")]


@cache
def _brought() -> dict[str, list[str]]:
    """Return the importable packages of every installed distribution."""
    brought: dict[str, list[str]] = {}
    for module, distributions in metadata.packages_distributions().items():
        for distribution in set(distributions):
            brought.setdefault(canonicalize_name(distribution), []).append(module)
    return brought
