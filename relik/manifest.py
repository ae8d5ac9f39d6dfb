"""The manifest of a built folder: written last, read first, and what its files are checked against.

A bundle and a knowledge index both carry one. It lists the size and SHA-256 of every file beside
it and seals itself with a digest, so that an altered manifest is noticed as an altered file is.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from relik.errors import (
    BundleCorruptError,
    BundleError,
    BundleNotFoundError,
    BundleVersionError,
    InputError,
)

T = TypeVar("T")

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
# The kinds of file that this library opens: only these are fetched, and none may lie unlisted.
SUFFIXES = (".json", ".toml", ".safetensors", ".onnx", ".trie", ".arrow", ".faiss", ".rows")
# Holds edits made since the folder was built, so it cannot be sealed.
OVERLAY = "overlay"

# Where the next manifest is written before it takes the place of the last.
_ASIDE = f".{MANIFEST}.part"
_RESERVED = ("digest", "files", "format_version", "kind")
_HASHING_THREADS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """What a file was when it was built.

    Args:
        size: Bytes.
        sha256: Lower-case hex.
    """

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a built folder says of itself.

    Args:
        kind: What the folder is, such as "bundle".
        format_version: The layout it was written in, from 1.
        files: Every sealed file by its path in the folder, with forward slashes.
        fields: The rest: sources, licences, recipe, figures, and what the kind needs.
    """

    kind: str
    format_version: int
    files: Mapping[str, FileEntry]
    fields: Mapping[str, object]

    def value(self, name: str, kind: type[T]) -> T:
        """Return a field that has to be there.

        Raises:
            BundleCorruptError: It is missing or has another type.
        """
        found = self.fields.get(name)
        if type(found) is not kind:
            raise BundleCorruptError(
                f"{MANIFEST} of this {self.kind}: got {name} = {found!r}, "
                f"expected a value of type {kind.__name__}: build it again"
            )
        return found


def write_manifest(folder: Path, *, kind: str, fields: Mapping[str, object]) -> Manifest:
    """Seal a folder: write the manifest of every file in it, replacing an older one.

    The manifest itself and anything in a folder named `overlay` is not listed.

    Raises:
        InputError: A field has a reserved name or is not a JSON value.
        BundleCorruptError: The folder holds a link instead of a file.
    """
    taken = sorted(set(fields) & set(_RESERVED))
    if taken:
        raise InputError(
            f"got a manifest field named {taken[0]!r}, which is reserved: choose another name"
        )
    names = _present(folder)
    for name in names:
        if (folder / name).is_symlink():
            raise BundleCorruptError(
                f"{folder / name} is a link, expected a file: copy what it points to"
            )
    sums = _hash_all(folder, names)
    content: dict[str, object] = {
        "kind": kind,
        "format_version": FORMAT_VERSION,
        **fields,
        "files": {
            name: {"size": (folder / name).stat().st_size, "sha256": digest}
            for name, digest in zip(names, sums, strict=True)
        },
    }
    try:
        plain = json.loads(json.dumps(content, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"got manifest fields that JSON cannot hold ({error}): "
            "give strings, finite numbers, lists and dicts"
        ) from error
    plain["digest"] = _digest(plain)
    text = json.dumps(plain, indent=2, ensure_ascii=False) + "\n"
    (folder / _ASIDE).write_text(text, encoding="utf-8")
    os.replace(folder / _ASIDE, folder / MANIFEST)
    return _parsed(plain, folder / MANIFEST)


def read_manifest(folder: Path, *, kind: str | None = None) -> Manifest:
    """Read the manifest of a built folder. Its files are not looked at: see `verify_files`.

    Args:
        kind: What the folder has to be; None takes any kind.

    Raises:
        BundleNotFoundError: There is no folder or no manifest in it.
        BundleVersionError: It was written in a newer format.
        BundleCorruptError: The manifest is malformed or was altered.
        BundleError: It is of another kind.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleNotFoundError(
            f"{folder}: has no {MANIFEST}, expected the folder of a bundle or of an index: "
            "check the path, or build it"
        ) from error
    except OSError as error:
        raise BundleNotFoundError(
            f"{path}: cannot be read ({error.strerror}): check its permissions"
        ) from error
    except (ValueError, RecursionError) as error:
        raise BundleCorruptError(f"{path}: is not JSON ({error}): {_AGAIN}") from error
    if not isinstance(content, dict):
        raise BundleCorruptError(f"{path}: got a {type(content).__name__}, expected an object")
    _check_version(content.get("format_version"), path)
    if content.get("digest") != _digest(content):
        raise BundleCorruptError(f"{path}: was altered after it was written: {_AGAIN}")
    manifest = _parsed(content, path)
    if kind is not None and manifest.kind != kind:
        raise BundleError(
            f"{folder}: got a folder of kind {manifest.kind}, expected kind {kind}: check the path"
        )
    return manifest


def check_files(folder: Path, manifest: Manifest, *, within: Path | None = None) -> None:
    """Check what can be checked of a folder's files without reading them.

    Args:
        within: What links may not leave; None is the folder itself.

    Raises:
        BundleCorruptError: A file is missing, has another size, or is a link out of the folder;
            the message names the first such file.
    """
    limit = (within or folder).resolve()
    for name in (MANIFEST, *manifest.files):
        if not (folder / name).resolve().is_relative_to(limit):
            raise BundleCorruptError(
                f"{folder / name}: is a link out of the folder, expected a file: {_AGAIN}"
            )
    for name, entry in sorted(manifest.files.items()):
        _check_size(folder / name, entry.size)


def verify_files(folder: Path, manifest: Manifest, *, within: Path | None = None) -> None:
    """Check that the files of a folder are exactly those that were sealed.

    Args:
        within: What links may not leave; None is the folder itself.

    Raises:
        BundleCorruptError: A file is missing, truncated, altered, not listed, or a link out of
            the folder; the message names the first such file.
    """
    check_files(folder, manifest, within=within)
    for name in _present(folder):
        if name not in manifest.files and name.endswith(SUFFIXES):
            raise BundleCorruptError(
                f"{folder / name}: is not listed in {MANIFEST}: remove it, or {_AGAIN}"
            )
    names = sorted(manifest.files)
    for name, found in zip(names, _hash_all(folder, names), strict=True):
        expected = manifest.files[name].sha256
        if found != expected:
            raise BundleCorruptError(
                f"{folder / name}: was altered (sha256 is {found[:12]}..., "
                f"expected {expected[:12]}...): {_AGAIN}"
            )


def publish(temporary: Path, target: Path, *, replace: bool = False) -> None:
    """Put a finished folder where it is looked for, by renaming it.

    Readers of the folder that is replaced keep what they have mapped.

    Raises:
        InputError: Something is there already and `replace` is false.
    """
    if not target.exists():
        os.rename(temporary, target)
        return
    if not replace:
        raise InputError(f"{target}: is there already: remove it, or choose another place")
    aside = target.with_name(f".{target.name}.replaced-{os.getpid()}")
    os.rename(target, aside)
    try:
        os.rename(temporary, target)
    except OSError:
        os.rename(aside, target)
        raise
    if aside.is_dir():
        shutil.rmtree(aside)
    else:
        aside.unlink()


_AGAIN = "fetch or build it again"


def _check_version(version: object, path: Path) -> None:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BundleCorruptError(
            f"{path}: got format_version {version!r}, expected a positive whole number: {_AGAIN}"
        )
    if version > FORMAT_VERSION:
        raise BundleVersionError(
            f"{path}: got format version {version}, this version of relik-server reads up to "
            f"{FORMAT_VERSION}: run `pip install --upgrade relik-server`"
        )


def _digest(content: Mapping[str, object]) -> str:
    rest = {key: value for key, value in content.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _parsed(content: Mapping[str, object], path: Path) -> Manifest:
    kind, version, listed = (content.get(key) for key in ("kind", "format_version", "files"))
    if not (isinstance(kind, str) and isinstance(version, int) and isinstance(listed, dict)):
        raise BundleCorruptError(
            f"{path}: expected a string kind and an object files, "
            f"got {type(kind).__name__} and {type(listed).__name__}: {_AGAIN}"
        )
    return Manifest(
        kind=kind,
        format_version=version,
        files={name: _entry(name, entry, path) for name, entry in sorted(listed.items())},
        fields={key: value for key, value in content.items() if key not in _RESERVED},
    )


def _entry(name: str, entry: object, path: Path) -> FileEntry:
    pure = PurePosixPath(name)
    clean = not pure.is_absolute() and ".." not in pure.parts and str(pure) == name
    if not clean or name == "." or any(char in name for char in "\\:\0"):
        raise BundleCorruptError(
            f"{path}: lists {name!r}, expected a path inside the folder: {_AGAIN}"
        )
    size, sha256 = (entry.get("size"), entry.get("sha256")) if isinstance(entry, dict) else (0, 0)
    if not (isinstance(size, int) and isinstance(sha256, str)):
        raise BundleCorruptError(
            f"{path}: got {entry!r} for {name}, expected its size and sha256: {_AGAIN}"
        )
    return FileEntry(size=size, sha256=sha256)


def _check_size(path: Path, expected: int) -> None:
    if not path.is_file():
        raise BundleCorruptError(f"{path}: is missing: {_AGAIN}")
    found = path.stat().st_size
    if found < expected:
        raise BundleCorruptError(
            f"{path}: was truncated (has {found} bytes, expected {expected}): {_AGAIN}"
        )
    if found > expected:
        raise BundleCorruptError(
            f"{path}: was altered (has {found} bytes, expected {expected}): {_AGAIN}"
        )


def _present(folder: Path) -> list[str]:
    paths = (path for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    relative = (path.relative_to(folder) for path in paths)
    names = (path.as_posix() for path in relative if OVERLAY not in path.parts[:-1])
    return sorted(name for name in names if name not in (MANIFEST, _ASIDE))


def _hash_all(folder: Path, names: list[str]) -> list[str]:
    # Hashing lets go of the interpreter lock, so threads read files side by side.
    with ThreadPoolExecutor(_HASHING_THREADS) as pool:
        return list(pool.map(lambda name: _sha256(folder / name), names))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
