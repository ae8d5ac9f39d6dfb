"""The base of a reader whose recipe names none: a bundle that is there, over knowledge of its own.

It is whole: the reader of that bundle is in it, so that what training is worth can be measured.
"""

import hashlib
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from relik.bundle import Bundle, open_bundle
from relik.errors import BundleError, ConfigError
from relik.layout import KIND, LAYOUT
from relik.manifest import MANIFEST, publish, read_manifest, write_manifest
from relik_index import BuildOptions, build_index
from relik_index.names.enrich import Enricher
from relik_index.reuse import ReusedVectors
from relik_training.recipes.bundle_settings import write_toml
from relik_training.recipes.recipe import ReaderTraining
from relik_training.run.progress import told

BASE = "base"
_MADE_FROM = "made_from"
_KNOWLEDGE = (LAYOUT.entities, LAYOUT.relations)


def standing(config: ReaderTraining) -> ReaderTraining:
    """Give the settings of a run with the base that it stands on; make one where there is none.

    Args:
        config: Settings; a base that is made goes to `out/base`, and is made anew only when the
            bundle or the knowledge has changed.

    Returns:
        The same with a base.

    Raises:
        BundleError: The bundle that is to start from cannot be used.
        ConfigError: It has no encoder.
        InputError: A record is wrong.
    """
    ready = standing_already(config)
    if not ready.base:
        start = open_bundle(config.start, verify=False)
        target = Path(config.out) / BASE
        _make(config, start, target, _made_from_now(config, start))
        ready = replace(config, base=str(target))
    return ready


def standing_already(config: ReaderTraining) -> ReaderTraining:
    """Give the settings of a run with the base that an earlier start of it made.

    Args:
        config: As for `standing`.

    Returns:
        The same with a base, or as it is where there is none of the same bundle and knowledge.

    Raises:
        BundleError: The bundle that is to start from cannot be used.
    """
    target = Path(config.out) / BASE
    if config.base or not target.is_dir():
        return config
    made_from = _made_from_now(config, open_bundle(config.start, verify=False))
    return replace(config, base=str(target)) if _held(target) == made_from else config


def _made_from_now(config: ReaderTraining, start: Bundle) -> dict[str, str]:
    return {
        "bundle": _sha256(start.path / MANIFEST),
        **{name: _sha256(_records(config, name)) for name in _KNOWLEDGE},
    }


def _make(config: ReaderTraining, start: Bundle, target: Path, made_from: dict[str, str]) -> None:
    if start.dim is None:
        raise ConfigError(
            f"{start.path}: has no query encoder, expected one to build indexes with: start from "
            "another bundle, or train a closed schema by `relik train schema`"
        )
    aside = target.with_name(f".{target.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for name in ("shared", LAYOUT.query_encoder, LAYOUT.reader):
        shutil.copytree(start.path / name, aside / name)
    reuse = _held_vectors(start, target)
    for name in _KNOWLEDGE:
        _index(config, start, aside, name, reuse)
    write_toml(
        replace(start.config, model=f"{start.config.model} over {Path(config.knowledge).name}"),
        aside / LAYOUT.pipeline,
    )
    fields = {**start.manifest.fields, "metrics": {}, _MADE_FROM: made_from}
    write_manifest(aside, kind=KIND, fields=fields)
    publish(aside, target, replace=True)


def _index(
    config: ReaderTraining, start: Bundle, out: Path, name: str, reuse: ReusedVectors | None
) -> None:
    """Build an index as `relik index build` would, with as many tokens a record as were trained."""
    known = read_manifest(start.path / name).fields.get("candidate_tokens")
    tokens = known if isinstance(known, int) else BuildOptions().candidate_tokens
    enricher = Enricher() if name == LAYOUT.entities else None
    records = _records(config, name)
    with told() as tell:
        build_index(
            records,
            out / name,
            encoder=start.encoder("auto", records=True),
            tokenizer=start.tokenizer(),
            encoder_fingerprint=start.encoder_fingerprint,
            options=BuildOptions(
                candidate_tokens=tokens,
                sources=(records.name,),
                enrich=None if enricher is None else enricher.enriched,
                reuse=reuse if name == LAYOUT.entities else None,
            ),
            progress=tell,
        )


def _held_vectors(start: Bundle, earlier: Path) -> ReusedVectors | None:
    """Give vectors that are encoded already: the same knowledge would take minutes again.

    Of entities alone: vectors of relations may be drawn to windows that state them.
    """
    for folder in (earlier / LAYOUT.entities, start.path / LAYOUT.entities):
        # What is not there, damaged, quantised or of another encoder is encoded anew.
        with suppress(BundleError, ConfigError):
            return ReusedVectors(folder, encoder_fingerprint=start.encoder_fingerprint)
    return None


def _records(config: ReaderTraining, name: str) -> Path:
    return Path(config.knowledge) / f"{name}.jsonl"


def _held(base: Path) -> object:
    """Say what a base was made from, or None where there is none."""
    try:
        return read_manifest(base, kind=KIND).fields.get(_MADE_FROM)
    except BundleError:
        return None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
