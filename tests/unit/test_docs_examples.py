"""The code, runbooks and unit files of the docs do what the docs say that they do."""

from __future__ import annotations

import contextlib
import io
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.base import clone

from execution.models import LimitRow
from execution.planning.orders import Side
from execution.safety.risk import RULES, evaluate, rules
from ops.files import write_json
from simulator.clock import MAX_SPEED
from simulator.config import SimConfig
from simulator.control import ControlServer
from simulator.world import World
from strategies.estimators import STRATEGIES, build
from strategies.estimators.base import BaseStrategy
from tests.bars_builders import make_bars
from tests.docs_reader import DOCS, README, blocks, codes, first_codes, section, table
from tests.execution_builders import make_context, make_request

TOKEN = "t" * 43


def example(text: str, folder: Path, name: str) -> ModuleType:
    """Return a block of the docs as the module that a reader would save."""
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def python_blocks(page: Path, heading: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", section(page, heading), re.DOTALL)


@pytest.fixture(params=[(DOCS / "extending.md", "new_high"), (README, "new_high_in_short")], ids=["whole", "short"])
def strategy(request, tmp_path, monkeypatch) -> Iterator[type[BaseStrategy]]:
    """The class of an example, saved as a file and registered by its one line."""
    page, name = request.param
    [text] = python_blocks(page, "A strategy")
    module = example(text, tmp_path, name)
    monkeypatch.setitem(STRATEGIES, name, f"{name}.NewHighStrategy")
    yield type(build(name))
    del sys.modules[module.__name__]


def test_the_strategy_of_the_docs_holds_on_new_highs_alone(strategy):
    bars = make_bars(n=600)
    chosen = strategy.small()
    window = getattr(chosen, "lookback", 168)
    signal = chosen.fit(bars).signal(bars)
    is_highest = bars["close"] >= bars["close"].rolling(window).max()
    warm = slice(chosen.warm_up, None)
    np.testing.assert_array_equal(signal["pos"][warm] != 0, is_highest[warm])
    assert (signal["pos"] > 0).any()
    assert set(clone(chosen).get_params()) == set(chosen.allowed)


def test_the_strategy_of_the_docs_does_not_look_ahead(strategy):
    bars, other = make_bars(1, 600), make_bars(2, 600)
    fitted = strategy.small().fit(bars)
    whole = fitted.predict(bars).to_numpy()
    for now in range(fitted.min_bars, len(bars), 7):
        assert fitted.one_step_predict(bars.iloc[:now]) == whole[now - 1]
        rewritten = bars.copy()
        rewritten.iloc[now:] = other.iloc[now:].to_numpy()
        np.testing.assert_array_equal(fitted.predict(rewritten).to_numpy()[:now], whole[:now])


def test_its_line_is_the_one_that_the_docs_show():
    [line] = [block.text for block in blocks(DOCS / "extending.md", "text") if "NewHighStrategy" in block.text]
    assert line.strip() == '"new_high": "strategies.estimators.new_high.NewHighStrategy",'
    module, _, _ = STRATEGIES["ema_vol"].rpartition(".")
    assert module.rpartition(".")[0] == "strategies.estimators"


def test_the_risk_rule_of_the_docs_refuses_what_it_says(tmp_path, monkeypatch):
    [text] = python_blocks(DOCS / "extending.md", "A risk rule")
    direction = example(text, tmp_path, "direction")
    [line] = [block.text for block in blocks(DOCS / "extending.md", "text") if "long_only" in block.text]
    assert "_growth(direction.long_only" in line
    monkeypatch.setitem(RULES, "long_only", rules._growth(direction.long_only, "no short positions"))

    def answer(request):
        [verdict] = [verdict for verdict in evaluate(request, make_context()) if verdict.rule == "long_only"]
        return verdict.ok

    assert answer(make_request("0.1"))
    assert make_request("-0.1").side is Side.SELL
    assert not answer(make_request("-0.1"))
    assert answer(make_request("-0.1", reduces=True, ticket=1))


@pytest.fixture
def control(tmp_path) -> Iterator[ControlServer]:
    """The control endpoint of a simulated world, published in the state folder."""
    server = ControlServer(World(SimConfig(state_dir=tmp_path)), token=TOKEN)
    server.start()
    (tmp_path / "run").mkdir()
    write_json(tmp_path / "run" / "control.json", {"host": "127.0.0.1", "port": server.port, "token": TOKEN})
    yield server
    server.stop()


def test_the_script_of_the_docs_steps_the_simulator(control, tmp_path, monkeypatch):
    [script] = python_blocks(DOCS / "simulator.md", "Control")
    before = control.world.clock.now_ms()
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(script, "simulator.md", "exec"), {})  # noqa: S102  # our own page
    assert control.world.clock.now_ms() == before + 3_600_000
    assert said.getvalue().startswith("2026-01-05T")


def test_the_requests_of_the_docs_are_those_of_the_control(control):
    documented = first_codes(section(DOCS / "simulator.md", "Control"))
    assert [tuple(request.split()) for request in documented] == [
        ("GET", "/status"),
        *((verb, path) for verb, path in sorted(control.actions, key=_as_documented) if verb == "POST"),
    ]
    assert f"at most {MAX_SPEED:g}" in (DOCS / "settings.md").read_text()


def _as_documented(action: tuple[str, str]) -> int:
    return ["/pause", "/resume", "/speed", "/faults", "/step"].index(action[1]) if action[0] == "POST" else -1


@pytest.fixture
def site(tmp_path) -> Path:
    """A project's folder with a state of its own, as the runbooks find it."""
    state = tmp_path / "var"
    for name in ("keys", "models/BTCUSD/ema_vol-v1", "safety", "run"):
        (state / name).mkdir(parents=True)
    (state / "keys" / "secret_key").write_text("secret")
    (state / "models" / "BTCUSD" / "ema_vol-v1" / "manifest.json").write_text("{}")
    (state / "safety" / "armed").write_text("{}")
    with contextlib.closing(sqlite3.connect(state / "db.sqlite3")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE kept (value)")
        database.execute("INSERT INTO kept VALUES (42)")
        database.commit()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    return tmp_path


def run_shell(lines: list[str], folder: Path) -> None:
    """Run a runbook's lines but for those that start the desk's own commands."""
    own = [line for line in lines if not line.startswith(("make ", "manage.py "))]
    command = ["bash", "-euo", "pipefail", "-c", "\n".join(own)]
    subprocess.run(command, cwd=folder, check=True, timeout=60)  # noqa: S603  # our own page


def test_a_backup_made_by_the_book_can_be_restored_by_the_book(site):
    runbook = section(DOCS / "operations.md", "Back up and restore")
    backup, restore = re.findall(r"```bash\n(.*?)```", runbook, re.DOTALL)
    with contextlib.closing(sqlite3.connect(site / "var" / "db.sqlite3")) as in_use:
        in_use.execute("SELECT * FROM kept").fetchall()
        run_shell(backup.splitlines(), site)
        in_use.execute("UPDATE kept SET value = 43")
        in_use.commit()
    (site / "var" / "models" / "BTCUSD" / "ema_vol-v1" / "manifest.json").unlink()
    run_shell(restore.splitlines(), site)

    state = site / "var"
    with contextlib.closing(sqlite3.connect(state / "db.sqlite3")) as restored:
        assert restored.execute("SELECT value FROM kept").fetchone() == (42,)
    assert (state / "models" / "BTCUSD" / "ema_vol-v1" / "manifest.json").exists()
    assert (state / "keys" / "secret_key").read_text() == "secret"
    assert (state / "safety" / "armed").exists()
    assert state.stat().st_mode & 0o077 == 0
    assert (site / "var-before" / "db.sqlite3").exists()


def test_roles_are_those_of_the_migration():
    roles = import_module("execution.migrations.0002_add_groups").ROLES
    assert first_codes(section(DOCS / "security.md", "Who may do what")) == list(roles)


def test_the_arming_phrase_of_the_runbooks_is_the_one_that_is_asked_for():
    text = (DOCS / "operations.md").read_text()
    modes = re.findall(r"--phrase 'ARM (\w+)'", text) + re.findall(r"`ARM (\w+)`", text)
    assert set(modes) == {"DEMO", "PAPER", "LIVE"}


def test_every_limit_of_the_docs_can_be_a_row():
    names = [codes(row[0])[0] for row in table(section(DOCS / "settings.md", "Limits"))]
    for name, row in zip(names, table(section(DOCS / "settings.md", "Limits")), strict=True):
        LimitRow(name=name, value=Decimal(row[3])).clean()
