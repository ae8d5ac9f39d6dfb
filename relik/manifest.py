"""The manifest of a bundle or knowledge index: kind, format version and checksums of its files.

It is written last and read first, and has a digest of itself, so that altering it is noticed too.
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
# Files that this library opens: only these are fetched, and the manifest must list all of them.
SUFFIXES = (".json", ".toml", ".safetensors", ".onnx", ".trie", ".arrow", ".faiss", ".rows")
# Folder of edits made after the build, which the manifest therefore leaves out.
OVERLAY = "overlay"

# Name under which a manifest is written before it is renamed.
_TEMPORARY = f".{MANIFEST}.part"
_RESERVED = ("digest", "files", "format_version", "kind")
_HASHING_THREADS = 4
_REBUILD = "fetch or build it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """Size in bytes and SHA-256, in lower-case hex, of a file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The content of a manifest.

    Args:
        kind: Kind of the folder, such as "bundle".
        format_version: From 1.
        files: Entries by path in the folder, with forward slashes.
        fields: Everything else: sources, licences, recipe, figures, and fields of the kind.
    """

    kind: str
    format_version: int
    files: Mapping[str, FileEntry]
    fields: Mapping[str, object]

    def value(self, name: str, kind: type[T]) -> T:
        """Return a required field.

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
    """Write the manifest of a folder, replacing an older one.

    It lists every file but itself and those in a folder named `overlay`.

    Args:
        fields: JSON values; `_RESERVED` names are refused.

    Raises:
        InputError: A field has a reserved name or is not a JSON value.
        BundleCorruptError: The folder holds a link instead of a file.
    """
    taken = sorted(set(fields) & set(_RESERVED))
    if taken:
        raise InputError(
            f"got a manifest field {taken[0]!r}, expected none of the reserved names "
            f"{', '.join(_RESERVED)}: choose another name"
        )
    names = _list_files(folder)
    for name in names:
        if (folder / name).is_symlink():
            raise BundleCorruptError(
                f"{folder / name}: is a link, expected a file: copy its target"
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
            f"got manifest fields that are not JSON values ({error}), expected strings, finite "
            "numbers, lists and dicts: convert them"
        ) from error
    plain["digest"] = _digest(plain)
    text = json.dumps(plain, indent=2, ensure_ascii=False) + "\n"
    (folder / _TEMPORARY).write_text(text, encoding="utf-8")
    os.replace(folder / _TEMPORARY, folder / MANIFEST)
    return _parse(plain, folder / MANIFEST)


def read_manifest(folder: Path, *, kind: str | None = None) -> Manifest:
    """Read the manifest of a folder, without checking its files; see `verify_files`.

    Args:
        kind: Required kind of the folder; None accepts any.

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
        raise BundleCorruptError(f"{path}: is not JSON ({error}): {_REBUILD}") from error
    if not isinstance(content, dict):
        raise BundleCorruptError(
            f"{path}: got a {type(content).__name__}, expected an object: {_REBUILD}"
        )
    _check_version(content.get("format_version"), path)
    if content.get("digest") != _digest(content):
        raise BundleCorruptError(f"{path}: was altered after it was written: {_REBUILD}")
    manifest = _parse(content, path)
    if kind is not None and manifest.kind != kind:
        raise BundleError(
            f"{folder}: got a folder of kind {manifest.kind}, expected kind {kind}: check the path"
        )
    return manifest


def check_files(folder: Path, manifest: Manifest, *, within: Path | None = None) -> None:
    """Check the presence and sizes of a folder's files without reading them.

    Args:
        within: Folder that links must stay in; None is `folder`.

    Raises:
        BundleCorruptError: A file is missing, has another size, or is a link out of the folder;
            the message names the first such file.
    """
    limit = (within or folder).resolve()
    for name in (MANIFEST, *manifest.files):
        if not (folder / name).resolve().is_relative_to(limit):
            raise BundleCorruptError(
                f"{folder / name}: is a link out of the folder, expected a file: {_REBUILD}"
            )
    for name, entry in sorted(manifest.files.items()):
        check_size(folder / name, entry.size)


def verify_files(folder: Path, manifest: Manifest, *, within: Path | None = None) -> None:
    """Check that a folder has exactly the files of its manifest, with the same checksums.

    Args:
        within: Folder that links must stay in; None is `folder`.

    Raises:
        BundleCorruptError: A file is missing, truncated, altered, not listed, or a link out of
            the folder; the message names the first such file.
    """
    check_files(folder, manifest, within=within)
    for name in _list_files(folder):
        if name not in manifest.files and name.endswith(SUFFIXES):
            raise BundleCorruptError(
                f"{folder / name}: is not listed in {MANIFEST}: remove it, or {_REBUILD}"
            )
    names = sorted(manifest.files)
    for name, found in zip(names, _hash_all(folder, names), strict=True):
        expected = manifest.files[name].sha256
        if found != expected:
            raise BundleCorruptError(
                f"{folder / name}: was altered (sha256 is {found[:12]}..., "
                f"expected {expected[:12]}...): {_REBUILD}"
            )


def publish(temporary: Path, target: Path, *, replace: bool = False) -> None:
    """Rename a finished folder to its final path.

    Readers of a replaced folder keep the files that they have mapped.

    Raises:
        InputError: The path exists and `replace` is false.
    """
    if not target.exists():
        os.rename(temporary, target)
        return
    if not replace:
        raise InputError(
            f"{target}: exists, expected a free path: remove it, or choose another path"
        )
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


def _check_version(version: object, path: Path) -> None:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BundleCorruptError(
            f"{path}: got format_version {version!r}, expected a positive whole number: {_REBUILD}"
        )
    if version > FORMAT_VERSION:
        raise BundleVersionError(
            f"{path}: got format version {version}, expected at most {FORMAT_VERSION}: run "
            "`pip install --upgrade relik-server`"
        )


def _digest(content: Mapping[str, object]) -> str:
    rest = {key: value for key, value in content.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _parse(content: Mapping[str, object], path: Path) -> Manifest:
    kind, version, listed = (content.get(key) for key in ("kind", "format_version", "files"))
    if not (isinstance(kind, str) and isinstance(version, int) and isinstance(listed, dict)):
        raise BundleCorruptError(
            f"{path}: got {type(kind).__name__} and {type(listed).__name__}, expected a string "
            f"`kind` and an object `files`: {_REBUILD}"
        )
    return Manifest(
        kind=kind,
        format_version=version,
        files={name: _parse_entry(name, entry, path) for name, entry in sorted(listed.items())},
        fields={key: value for key, value in content.items() if key not in _RESERVED},
    )


def _parse_entry(name: str, entry: object, path: Path) -> FileEntry:
    pure = PurePosixPath(name)
    clean = not pure.is_absolute() and ".." not in pure.parts and str(pure) == name
    if not clean or name == "." or any(char in name for char in "\\:\0"):
        raise BundleCorruptError(
            f"{path}: lists {name!r}, expected a path inside the folder: {_REBUILD}"
        )
    size, sha256 = (entry.get("size"), entry.get("sha256")) if isinstance(entry, dict) else (0, 0)
    if not (isinstance(size, int) and isinstance(sha256, str)):
        raise BundleCorruptError(
            f"{path}: got {entry!r} for {name}, expected its size and sha256: {_REBUILD}"
        )
    return FileEntry(size=size, sha256=sha256)


def check_size(path: Path, expected: int) -> None:
    """Check the presence and the size, in bytes, of one file.

    Raises:
        BundleCorruptError: It is missing or has another size.
    """
    if not path.is_file():
        raise BundleCorruptError(f"{path}: is missing, expected a file of the build: {_REBUILD}")
    found = path.stat().st_size
    if found != expected:
        change = "truncated" if found < expected else "altered"
        raise BundleCorruptError(
            f"{path}: was {change} (has {found} bytes, expected {expected}): {_REBUILD}"
        )


def _list_files(folder: Path) -> list[str]:
    paths = (path for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    relative = (path.relative_to(folder) for path in paths)
    names = (path.as_posix() for path in relative if OVERLAY not in path.parts[:-1])
    return sorted(name for name in names if name not in (MANIFEST, _TEMPORARY))


def _hash_all(folder: Path, names: list[str]) -> list[str]:
    # Hashing releases the interpreter lock, so threads run in parallel.
    with ThreadPoolExecutor(_HASHING_THREADS) as pool:
        return list(pool.map(lambda name: _sha256(folder / name), names))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
