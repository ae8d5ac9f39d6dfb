"""The base of a reader run whose recipe names none: a bundle with an index of the own records.

It includes the reader of that bundle, so that the gain of training can be measured.
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
from relik.names.language import open_language
from relik_index import BuildOptions, build_index
from relik_index.names.enrich import Enricher
from relik_index.reuse import ReusedVectors
from relik_training.recipes.bundle_settings import write_toml
from relik_training.recipes.recipe import ReaderTraining
from relik_training.run.progress import told
from relik_training.run.run_files import BASE

_MADE_FROM = "made_from"
_KNOWLEDGE = (LAYOUT.entities, LAYOUT.relations)


def standing(config: ReaderTraining) -> ReaderTraining:
    """Return the settings of a run with a base; build the base if the recipe names none.

    It is built in `out/base`, and again only if the bundle or the records have changed.

    Raises:
        BundleError: The bundle to start from cannot be used.
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
    """Return the settings of a run with the base that an earlier start of it built.

    They are unchanged if there is no such base for the same bundle and records.

    Raises:
        BundleError: The bundle to start from cannot be used.
    """
    target = Path(config.out) / BASE
    if config.base or not target.is_dir():
        return config
    made_from = _made_from_now(config, open_bundle(config.start, verify=False))
    return replace(config, base=str(target)) if _made_from(target) == made_from else config


def _made_from_now(config: ReaderTraining, start: Bundle) -> dict[str, str]:
    return {
        "bundle": _sha256(start.path / MANIFEST),
        **{name: _sha256(_records(config, name)) for name in _KNOWLEDGE},
    }


def _make(config: ReaderTraining, start: Bundle, target: Path, made_from: dict[str, str]) -> None:
    if start.dim is None:
        raise ConfigError(
            f"{start.path}: has no query encoder, expected one to build indexes with: start from "
            "another bundle, or train a closed schema with `relik train schema`"
        )
    draft = target.with_name(f".{target.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name in ("shared", LAYOUT.query_encoder, LAYOUT.reader):
        shutil.copytree(start.path / name, draft / name)
    reuse = _reusable_vectors(start, target)
    for name in _KNOWLEDGE:
        _index(config, start, draft, name, reuse)
    write_toml(
        replace(start.config, model=f"{start.config.model} over {Path(config.knowledge).name}"),
        draft / LAYOUT.pipeline,
    )
    fields = {**start.manifest.fields, "metrics": {}, _MADE_FROM: made_from}
    write_manifest(draft, kind=KIND, fields=fields)
    publish(draft, target, replace=True)


def _index(
    config: ReaderTraining, start: Bundle, out: Path, name: str, reuse: ReusedVectors | None
) -> None:
    """Build an index as `relik index build` does, with the candidate tokens of the bundle."""
    known = read_manifest(start.path / name).fields.get("candidate_tokens")
    tokens = known if isinstance(known, int) else BuildOptions().candidate_tokens
    language = open_language(start.language)
    enricher = Enricher(language=language) if name == LAYOUT.entities else None
    records = _records(config, name)
    with told() as progress:
        build_index(
            records,
            out / name,
            encoder=start.encoder("auto", records=True),
            tokenizer=start.tokenizer(),
            encoder_fingerprint=start.encoder_fingerprint,
            options=BuildOptions(
                candidate_tokens=tokens,
                sources=(records.name,),
                language=language.code,
                enrich=None if enricher is None else enricher.enriched,
                reuse=reuse if name == LAYOUT.entities else None,
            ),
            progress=progress,
        )


def _reusable_vectors(start: Bundle, earlier: Path) -> ReusedVectors | None:
    """Return entity vectors of an earlier base or of the bundle, which saves minutes of encoding.

    Relation vectors are not reusable, because they may include prototypes.
    """
    for folder in (earlier / LAYOUT.entities, start.path / LAYOUT.entities):
        # A missing, broken or quantised index, or one of another encoder, has no reusable vectors.
        with suppress(BundleError, ConfigError):
            return ReusedVectors(folder, encoder_fingerprint=start.encoder_fingerprint)
    return None


def _records(config: ReaderTraining, name: str) -> Path:
    return Path(config.knowledge) / f"{name}.jsonl"


def _made_from(base: Path) -> object:
    """Return the digests of the sources of a base; None if it does not exist."""
    try:
        return read_manifest(base, kind=KIND).fields.get(_MADE_FROM)
    except BundleError:
        return None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
