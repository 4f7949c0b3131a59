"""Stored models: whole or absent, and never opened unless they are ours."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from strategies import artifacts
from strategies.artifacts import folder_of, latest_version, load, remove_abandoned, save
from strategies.manifests import (
    Manifest,
    ModelExistsError,
    ModelMissingError,
    ModelRefusedError,
    ModelStaleError,
    Slot,
    seal,
    unseal,
)
from strategies.provenance import library_versions

KEY = b"k" * 32
SOURCES = {"open": "mt5", "close": "mt5", "volume": "binance"}
SLOT = Slot(symbol="BTCUSD", strategy="ema_vol", variant="fast_ema_window=24", version=1)


def make_manifest(slot: Slot = SLOT, **changes) -> Manifest:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    manifest = Manifest(
        slot=slot,
        strat_weight=0.05,
        params={"fast_ema_window": 24},
        fitted={"cdf_median_": 0.61},
        columns=(("close", "mt5"), ("volume", "binance")),
        fit_from=start,
        fit_to=start + timedelta(hours=99),
        n_bars=100,
        data_hash="d" * 64,
        libraries=library_versions(),
        commit="c" * 40,
        created_at=start + timedelta(hours=100),
    )
    return replace(manifest, **changes)


def store(root: Path, manifest: Manifest | None = None, estimator: object = None) -> artifacts.StoredModel:
    return save(root, manifest or make_manifest(), estimator or SimpleNamespace(cdf_median_=0.61), key=KEY)


def read(root: Path, stored: artifacts.StoredModel, **changes) -> artifacts.StoredModel:
    asked: dict[str, Any] = {
        "path": stored.path,
        "slot": stored.manifest.slot,
        "sha256": stored.manifest.file_sha256,
        "sources": SOURCES,
        "key": KEY,
    }
    return load(root, **(asked | changes))


class Bomb:
    """A pickle that leaves a trace when anybody opens it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def test_a_stored_model_comes_back_with_its_manifest(tmp_path):
    stored = store(tmp_path)
    loaded = read(tmp_path, stored)
    assert stored.path == "BTCUSD/ema_vol-fast_ema_window-24-v1"
    assert sorted(path.name for path in (tmp_path / stored.path).iterdir()) == ["manifest.json", "model.joblib"]
    assert loaded.estimator.cdf_median_ == 0.61
    assert loaded.manifest == stored.manifest
    assert replace(loaded.manifest, file_sha256="", file_bytes=0) == make_manifest()
    assert loaded.warnings == ()


def test_an_unchanged_model_is_unpickled_once(tmp_path):
    stored = store(tmp_path)
    assert read(tmp_path, stored).estimator is read(tmp_path, stored).estimator


def test_a_changed_file_is_verified_again_though_its_size_and_mtime_are_set_back(tmp_path):
    stored = store(tmp_path)
    read(tmp_path, stored)
    file = tmp_path / stored.path / "model.joblib"
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ModelRefusedError, match=r"^BTCUSD/ema_vol-fast_ema_window-24-v1: model.joblib is not the file"):
        read(tmp_path, stored)


@pytest.mark.parametrize("name", ["model.joblib", "manifest.json"])
def test_every_flipped_byte_is_refused(tmp_path, name):
    stored = store(tmp_path)
    file = tmp_path / stored.path / name
    original = file.read_bytes()
    for at in range(0, len(original), 7):
        changed = bytearray(original)
        changed[at] ^= 0x55
        file.write_bytes(changed)
        with pytest.raises(
            ModelRefusedError, match=r"refit with `manage\.py fit_models --symbol BTCUSD --strategy ema_vol`"
        ):
            read(tmp_path, stored)


@pytest.mark.parametrize("name", ["model.joblib", "manifest.json"])
@pytest.mark.parametrize("kept", [0, 1, 50])
def test_a_truncated_file_is_refused(tmp_path, name, kept):
    stored = store(tmp_path)
    file = tmp_path / stored.path / name
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ModelRefusedError):
        read(tmp_path, stored)


def test_bytes_after_the_model_are_refused(tmp_path):
    stored = store(tmp_path)
    with (tmp_path / stored.path / "model.joblib").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelRefusedError, match="SHA-256"):
        read(tmp_path, stored)


@pytest.mark.parametrize("name", ["model.joblib", "manifest.json"])
def test_a_missing_file_is_data_missing_and_says_how_to_refit(tmp_path, name):
    stored = store(tmp_path)
    (tmp_path / stored.path / name).unlink()
    with pytest.raises(ModelMissingError, match=rf"{name} is missing; refit with") as caught:
        read(tmp_path, stored)
    assert caught.value.exit_code == 5
    assert str(tmp_path) not in str(caught.value)


def test_another_key_is_refused_and_named(tmp_path):
    stored = store(tmp_path)
    with pytest.raises(ModelRefusedError, match="another MODEL_SIGNING_KEY"):
        read(tmp_path, stored, key=b"x" * 32)


def test_another_key_is_refused_also_after_the_right_one_opened_the_model(tmp_path):
    stored = store(tmp_path)
    read(tmp_path, stored)
    with pytest.raises(ModelRefusedError, match="another MODEL_SIGNING_KEY"):
        read(tmp_path, stored, key=b"x" * 32)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("strat_weight", 0.5),
        ("fitted", {"cdf_median_": 6.1}),
        ("params", {"fast_ema_window": 2}),
        ("n_bars", 101),
        ("data_hash", "e" * 64),
        ("file_sha256", "0" * 64),
        ("format", 2),
        ("slot", {"symbol": "ETHUSD", "strategy": "ema_vol", "variant": "fast_ema_window=24", "version": 1}),
    ],
)
def test_an_edited_manifest_is_refused(tmp_path, field, value):
    stored = store(tmp_path)
    file = tmp_path / stored.path / "manifest.json"
    signed = json.loads(file.read_text())
    signed["manifest"][field] = value
    file.write_text(json.dumps(signed))
    with pytest.raises(ModelRefusedError, match="changed after it was signed"):
        read(tmp_path, stored)


def test_a_manifest_that_is_only_laid_out_differently_is_still_ours(tmp_path):
    stored = store(tmp_path)
    file = tmp_path / stored.path / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()), indent=4, sort_keys=True))
    assert read(tmp_path, stored).manifest == stored.manifest


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"null", b"[" * 200_000, b'{"manifest": NaN, "hmac": "", "key_id": ""}', b"\xff"]
)
def test_what_is_not_a_manifest_is_refused(tmp_path, content):
    stored = store(tmp_path)
    (tmp_path / stored.path / "manifest.json").write_bytes(content)
    with pytest.raises(ModelRefusedError, match="manifest is damaged"):
        read(tmp_path, stored)


def test_a_forged_model_is_refused_before_its_pickle_is_opened(tmp_path):
    """A stranger may write both files, and knows every hash; only the key is missing."""
    stored = store(tmp_path)
    trace = tmp_path / "opened"
    content = pickle.dumps(Bomb(trace))
    folder = tmp_path / stored.path
    (folder / "model.joblib").write_bytes(content)
    import hashlib

    digest = hashlib.sha256(content).hexdigest()
    forged = replace(stored.manifest, file_sha256=digest, file_bytes=len(content))
    signed = json.loads(seal(forged, key=b"a stranger's key, also 32 bytes..."))
    signed["key_id"] = json.loads((folder / "manifest.json").read_text())["key_id"]
    (folder / "manifest.json").write_text(json.dumps(signed))
    with pytest.raises(ModelRefusedError, match="changed after it was signed"):
        read(tmp_path, stored, sha256=digest)
    assert not trace.exists()


def test_a_swapped_pickle_is_refused_before_it_is_opened(tmp_path):
    stored = store(tmp_path)
    trace = tmp_path / "opened"
    (tmp_path / stored.path / "model.joblib").write_bytes(pickle.dumps(Bomb(trace)))
    with pytest.raises(ModelRefusedError):
        read(tmp_path, stored)
    assert not trace.exists()


def test_an_older_model_copied_over_a_newer_one_is_refused(tmp_path):
    old = store(tmp_path)
    new = store(tmp_path, make_manifest(replace(SLOT, version=2)))
    for name in ("model.joblib", "manifest.json"):
        (tmp_path / new.path / name).write_bytes((tmp_path / old.path / name).read_bytes())
    with pytest.raises(ModelRefusedError, match=r"it holds BTCUSD ema_vol fast_ema_window=24 v1 where .* v2 belongs"):
        read(tmp_path, new)


def test_a_model_that_is_not_the_registered_one_is_refused(tmp_path):
    with pytest.raises(ModelRefusedError, match="not the one in the registry"):
        read(tmp_path, store(tmp_path), sha256="0" * 64)


@pytest.mark.parametrize("path", ["", "/etc", "../x", "BTCUSD/../../x", "BTCUSD/..", "a\\..\\b", "C:/models"])
def test_a_path_out_of_the_models_folder_is_refused(tmp_path, path):
    with pytest.raises(ModelRefusedError, match="not a place inside"):
        read(tmp_path, store(tmp_path), path=path)


def test_a_linked_folder_is_refused(tmp_path):
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "models"
    stored = store(elsewhere)
    root.mkdir()
    (root / "BTCUSD").symlink_to(elsewhere / "BTCUSD")
    with pytest.raises(ModelRefusedError, match="symbolic link"):
        read(root, stored)


def test_a_linked_file_is_refused(tmp_path):
    stored = store(tmp_path)
    file = tmp_path / stored.path / "model.joblib"
    file.rename(tmp_path / "aside")
    file.symlink_to(tmp_path / "aside")
    with pytest.raises(ModelRefusedError, match="not a plain file"):
        read(tmp_path, stored)


def test_models_behind_a_linked_root_are_found(tmp_path):
    """A person may put the whole folder on another disk."""
    stored = store(tmp_path / "disk")
    (tmp_path / "models").symlink_to(tmp_path / "disk")
    assert read(tmp_path / "models", stored).path == stored.path


@pytest.mark.parametrize("symbol", ["../../etc", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "C:", "a\0b", "ü" * 300])
def test_no_name_leads_out_of_the_models_folder(tmp_path, symbol):
    stored = store(tmp_path, make_manifest(replace(SLOT, symbol=symbol, variant=symbol)))
    assert (tmp_path / stored.path).resolve().is_relative_to(tmp_path)
    assert len(stored.path.split("/")) == 2
    assert read(tmp_path, stored).manifest.slot.symbol == symbol


def test_names_that_look_alike_have_folders_of_their_own():
    names = ["a b", "a/b", "a\\b", "a-b", "a=b", "a:b"]
    folders = {folder_of(replace(SLOT, symbol=name)) for name in names if name != "a=b"}
    assert len(folders) == len(names) - 1


def test_a_column_that_today_comes_from_elsewhere_is_refused(tmp_path):
    stored = store(tmp_path)
    with pytest.raises(ModelStaleError, match="fitted on volume from binance, today's comes from mt5") as caught:
        read(tmp_path, stored, sources=SOURCES | {"volume": "mt5"})
    assert caught.value.exit_code == 5


def test_a_column_that_is_gone_is_refused_also_when_the_model_is_already_open(tmp_path):
    stored = store(tmp_path)
    read(tmp_path, stored)
    with pytest.raises(ModelStaleError, match="needs the column volume from binance"):
        read(tmp_path, stored, sources={"close": "mt5"})


def test_another_major_version_of_a_library_is_refused(tmp_path, monkeypatch):
    stored = store(tmp_path)
    monkeypatch.setattr(artifacts, "library_versions", lambda: library_versions() | {"numpy": "99.0"})
    with pytest.raises(ModelStaleError, match=r"written with numpy 2\.\S+, here is 99.0"):
        read(tmp_path, stored)


def test_another_minor_version_of_a_library_is_a_warning(tmp_path, monkeypatch):
    stored = store(tmp_path)
    monkeypatch.setattr(artifacts, "library_versions", lambda: library_versions() | {"numpy": "2.99.0"})
    (warning,) = read(tmp_path, stored).warnings
    assert "numpy" in warning
    assert "2.99.0" in warning


def test_a_version_is_never_written_twice(tmp_path):
    first = store(tmp_path)
    with pytest.raises(ModelExistsError):
        store(tmp_path, estimator=SimpleNamespace(cdf_median_=9.0))
    assert read(tmp_path, first).estimator.cdf_median_ == 0.61
    assert [path.name for path in (tmp_path / "BTCUSD").iterdir()] == ["ema_vol-fast_ema_window-24-v1"]


def test_the_latest_version_counts_this_slot_only(tmp_path):
    assert latest_version(tmp_path, SLOT) == 0
    for version in (1, 2, 10):
        store(tmp_path, make_manifest(replace(SLOT, version=version)))
    store(tmp_path, make_manifest(replace(SLOT, variant="fast_ema_window=240", version=30)))
    store(tmp_path, make_manifest(replace(SLOT, symbol="ETHUSD", version=40)))
    assert latest_version(tmp_path, SLOT) == 10


@pytest.mark.parametrize("step", ["_write_both", "_open_verified", "_move_into_place"])
def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch, step):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(artifacts, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        store(tmp_path)
    assert list((tmp_path / "BTCUSD").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked child")
@pytest.mark.parametrize("step", ["_open_verified", "_move_into_place", "_flush_folder"])
def test_a_process_killed_while_writing_leaves_no_half_model(tmp_path, monkeypatch, step):
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(artifacts, step, lambda *args: os._exit(9))
        store(tmp_path)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert latest_version(tmp_path, SLOT) == 0
    assert store(tmp_path).manifest.slot.version == 1
    assert remove_abandoned(tmp_path, now=datetime.now(UTC)) == 0  # another fit may be writing it right now
    assert remove_abandoned(tmp_path, now=datetime.now(UTC) + timedelta(hours=2)) == 1
    assert latest_version(tmp_path, SLOT) == 1


def test_a_write_that_ends_while_we_look_for_abandoned_ones_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "glob", lambda root, pattern: [root / "BTCUSD" / ".unfinished-gone"])
    assert remove_abandoned(tmp_path, now=datetime.now(UTC)) == 0


def test_what_cannot_be_read_back_is_not_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(artifacts, "_dump", lambda estimator: b"not a pickle")
    with pytest.raises(ModelStaleError, match="written by other code"):
        store(tmp_path)
    assert list((tmp_path / "BTCUSD").iterdir()) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_fitted_value_that_is_not_finite_is_not_stored(tmp_path, value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        store(tmp_path, make_manifest(fitted={"cdf_median_": value}))
    assert list((tmp_path / "BTCUSD").iterdir()) == []


def test_a_manifest_of_another_format_is_stale_not_forged(monkeypatch):
    monkeypatch.setattr("strategies.manifests.FORMAT", 2)
    sealed = seal(make_manifest(), key=KEY)
    monkeypatch.undo()
    with pytest.raises(ModelStaleError, match="format 2, this version reads 1"):
        unseal(sealed, key=KEY)


def test_a_signature_is_the_documented_hmac():
    """Recomputed with the standard library alone, from what the module's page promises."""
    import hashlib
    import hmac

    signed = json.loads(seal(make_manifest(), key=KEY))
    canonical = json.dumps(signed["manifest"], sort_keys=True, separators=(",", ":")).encode()
    expected = hmac.digest(KEY, b"trading-desk fitted model manifest\n" + canonical, hashlib.sha256).hex()
    assert signed["hmac"] == expected
