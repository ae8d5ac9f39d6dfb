"""Pretrained weights that come inside Python packages: in one, or cut into archives of several.

A registry limits how large a package may be, so large weights come as a zip in numbered parts, one
part a package. They are put together once, in the cache folder of the user.
"""

import hashlib
import importlib.util
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from relik.errors import ConfigError

PREFIX = "pip:"
_ARCHIVE = ".zip"
_NUMBER = ".[0-9][0-9][0-9]"
# A backbone is data: nothing else is unpacked.
_WANTED = (".json", ".safetensors", ".txt")


def packaged_folder(name: str, *, cache: Path | None = None) -> Path:
    """Find a backbone inside installed packages.

    Args:
        name: `pip:PACKAGE/FOLDER` for a folder in a package, or `pip:PACKAGES/ARCHIVE.zip` for an
            archive in parts ARCHIVE.zip.001 and so on, where a `*` in PACKAGES stands for what
            tells the folders of the packages apart.
        cache: Where archives are unpacked; None for ~/.cache/relik/backbones.

    Returns:
        The folder.

    Raises:
        ConfigError: A package is not installed, or the archive is not whole.
    """
    package, _, inside = name.removeprefix(PREFIX).partition("/")
    if inside.endswith(_ARCHIVE):
        parts = _parts(name, f"{package}/{inside}{_NUMBER}")
        return _unpacked(parts, cache or Path.home() / ".cache" / "relik" / "backbones")
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ConfigError(
            f"backbone {name!r}: no Python package {package!r} is installed: "
            f"pip install {package.replace('_', '-')}, or give a folder or hub id"
        )
    return Path(found.submodule_search_locations[0]) / inside


def _parts(name: str, pattern: str) -> list[Path]:
    found: dict[str, Path] = {}
    for folder in sys.path:
        for path in sorted(Path(folder or ".").glob(pattern)):
            found.setdefault(path.suffix, path)
    numbers = [int(suffix[1:]) for suffix in sorted(found)]
    if not found or numbers != list(range(1, len(numbers) + 1)):
        raise ConfigError(
            f"backbone {name!r}: got the parts {numbers} in the installed packages, expected all "
            "from 1 on: pip install every package that has a part of it, or give a folder or "
            "hub id"
        )
    return [found[suffix] for suffix in sorted(found)]


def _unpacked(parts: Sequence[Path], cache: Path) -> Path:
    sizes = [(path.name, path.stat().st_size) for path in parts]
    digest = hashlib.sha256(repr(sizes).encode()).hexdigest()[:12]
    target = cache / f"{Path(parts[0].stem).stem}-{digest}"
    if not target.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as aside:
            _unpack(parts, Path(aside))
            # Another run may have been quicker; both have the same.
            if not target.is_dir():
                (Path(aside) / "files").rename(target)
    return target


def _unpack(parts: Sequence[Path], aside: Path) -> None:
    whole, files = aside / "whole.zip", aside / "files"
    files.mkdir()
    with whole.open("wb") as out:
        for part in parts:
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, out)
    try:
        with zipfile.ZipFile(whole) as archive:
            for entry in archive.infolist():
                # Only files at the top: those of the backbone itself, by their bare names.
                path = Path(entry.filename)
                if len(path.parts) <= 2 and path.suffix in _WANTED and not entry.is_dir():
                    with archive.open(entry) as piece, (files / path.name).open("wb") as out:
                        shutil.copyfileobj(piece, out)
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise ConfigError(
            f"{parts[0]}: {len(parts)} parts do not make an archive ({error}): install the "
            "packages again, all of one version"
        ) from error
