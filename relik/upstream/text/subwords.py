"""Subword tokenizers of released readers and encoders, and the marker tokens of readers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from tokenizers import Tokenizer

from relik.errors import BundleCorruptError, BundleNotFoundError, InputError
from relik.types import IntArray
from relik.upstream.checkpoint.backbone_settings import read_config
from relik.upstream.text.token_windows import UpstreamWindow

TOKENIZER = "tokenizer.json"
NME = "--NME--"
"""Label, candidate and marker of NIL mentions in released readers."""

MAX_CACHED = 1 << 17

TokenRow: TypeAlias = tuple[list[int], list[int]]
"""Token ids and token types of a text, special tokens included."""

DEFAULT_MAX_TOKENS = 512

# Tokenizers without a limit have a number such as 1e30.
_NO_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Markers:
    """Ids of the special tokens of a reader.

    Args:
        nme: Marker of the candidate `NME`, or None where the reader has none.
        entities: Entity markers, in order.
        relations: Relation markers, in order.
        n_base: Size of the vocabulary without added tokens.
        n_all: Size of the vocabulary with added tokens.
    """

    cls: int
    sep: int
    nme: int | None
    entities: tuple[int, ...]
    relations: tuple[int, ...]
    n_base: int
    n_all: int

    @classmethod
    def of(cls, tokenizer: Tokenizer, *, source: Path) -> "Markers":
        """Look up the markers of a reader.

        Raises:
            BundleCorruptError: There is no [CLS], no [SEP] or no marker.
        """
        first, separator = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
        entities, relations = (_marker_ids(tokenizer, letter) for letter in "ER")
        if first is None or separator is None or not entities + relations:
            raise BundleCorruptError(
                f"{source}: got no [CLS], no [SEP] or no markers [E-0] and [R-0], expected the "
                "tokenizer of a reader: fetch it again"
            )
        return cls(
            cls=first,
            sep=separator,
            nme=tokenizer.token_to_id(NME),
            entities=entities,
            relations=relations,
            n_base=tokenizer.get_vocab_size(with_added_tokens=False),
            n_all=tokenizer.get_vocab_size(with_added_tokens=True),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WordTokens:
    """The subwords of a window, without special tokens.

    Args:
        ids: Int64, (n,), as are the others.
        starts: First code point of each subword in the document.
        ends: One past its last code point.
        words: Position of its word in the window.
    """

    ids: IntArray
    starts: IntArray
    ends: IntArray
    words: IntArray


class ReaderTokenizer:
    """Tokenizes words and candidates of a reader.

    Args:
        tokenizer: With or without special tokens; see `open`.
        prefix: Text before a candidate while it is tokenized: a marker or nothing.
    """

    def __init__(self, tokenizer: Tokenizer, markers: Markers, *, prefix: str) -> None:
        self.markers = markers
        self._tokenizer = tokenizer
        self._prefix = prefix
        self._candidates: dict[str, tuple[int, ...]] = {}

    @classmethod
    def open(cls, folder: Path, *, quirks: bool) -> "ReaderTokenizer":
        """Open the tokenizer of a reader.

        Args:
            quirks: Tokenize the name of a marker in a text or candidate as that marker, as
                upstream does; else it is ordinary text.

        Raises:
            BundleError: The file is missing or broken.
        """
        path = folder / TOKENIZER
        text = _read_file(path)
        tokenizer = _parse_tokenizer(path, text)
        markers = Markers.of(tokenizer, source=path)
        if quirks:
            first = (markers.entities + markers.relations)[0]
            return cls(tokenizer, markers, prefix=f"{tokenizer.id_to_token(first)} ")
        return cls(_parse_tokenizer(path, _without_specials(text)), markers, prefix="")

    def encode_words(self, windows: Sequence[UpstreamWindow]) -> list[WordTokens]:
        """Tokenize the words of windows, each word alone."""
        unique = sorted({word for window in windows for word in window.words})
        encodings = self._tokenizer.encode_batch(
            [_replace_surrogates(word) for word in unique], add_special_tokens=False
        )
        known = {
            word: (encoding.ids, np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2))
            for word, encoding in zip(unique, encodings, strict=True)
        }
        return [_word_tokens(window, known) for window in windows]

    def encode_candidates(self, candidates: Sequence[str]) -> list[tuple[int, ...]]:
        """Tokenize candidates, without their markers."""
        missing = list(dict.fromkeys(c for c in candidates if c not in self._candidates))
        encodings = self._tokenizer.encode_batch(
            [self._prefix + _replace_surrogates(candidate) for candidate in missing],
            add_special_tokens=False,
        )
        skip = 1 if self._prefix else 0
        fresh = {
            candidate: tuple(encoding.ids[skip:])
            for candidate, encoding in zip(missing, encodings, strict=True)
        }
        known = self._candidates
        found = [fresh[c] if c in fresh else known[c] for c in candidates]
        # Bounds the memory of a server that runs for long.
        if len(known) + len(fresh) > MAX_CACHED:
            self._candidates = fresh
        else:
            known.update(fresh)
        return found


class EncoderTokenizer:
    """Tokenizes texts of an encoder, with special tokens and truncation."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def open(cls, folder: Path, *, positions: int | None) -> "EncoderTokenizer":
        """Open the tokenizer of an encoder.

        Args:
            positions: Most tokens of a row, or None for no limit.

        Raises:
            BundleError: A file is missing or broken.
        """
        tokenizer = open_tokenizer(folder)
        tokenizer.enable_truncation(_max_tokens(folder, positions))
        return cls(tokenizer)

    def rows(self, texts: Sequence[str], *, topics: Sequence[str] | None = None) -> list[TokenRow]:
        """Tokenize texts, truncated where they are long.

        Args:
            topics: Second segment of each text, if any.

        Raises:
            InputError: Topics and texts differ in number.
        """
        plain = [_replace_surrogates(text) for text in texts]
        inputs: list[str] | list[tuple[str, str]] = plain
        if topics is not None:
            if len(topics) != len(texts):
                raise InputError(
                    f"got {len(topics)} topics for {len(texts)} texts, expected one for each text: "
                    "add or remove topics"
                )
            inputs = list(zip(plain, map(_replace_surrogates, topics), strict=True))
        return [(found.ids, found.type_ids) for found in self._tokenizer.encode_batch(inputs)]


def open_tokenizer(folder: Path) -> Tokenizer:
    """Open a tokenizer without truncation and padding.

    Raises:
        BundleNotFoundError: There is no such file.
        BundleCorruptError: It is not a tokenizer.
    """
    return _parse_tokenizer(folder / TOKENIZER, _read_file(folder / TOKENIZER))


def _word_tokens(
    window: UpstreamWindow, known: dict[str, tuple[list[int], IntArray]]
) -> WordTokens:
    parts = [known[word] for word in window.words]
    counts = [len(ids) for ids, _ in parts]
    words = np.repeat(np.arange(len(parts), dtype=np.int64), counts)
    offsets = np.concatenate([offsets for _, offsets in parts] or [np.zeros((0, 2), np.int64)])
    return WordTokens(
        ids=np.asarray([k for ids, _ in parts for k in ids], dtype=np.int64),
        starts=offsets[:, 0] + window.starts[words],
        ends=offsets[:, 1] + window.starts[words],
        words=words,
    )


def _without_specials(text: str) -> str:
    """Return the file of the same tokenizer for which [SEP] and markers are ordinary text."""
    data = json.loads(text)
    specials = {token["content"] for token in data["added_tokens"]}
    data["added_tokens"], data["post_processor"] = [], None
    if data["model"]["type"] == "Unigram":
        # Special tokens are pieces of the vocabulary too: rename them to what no text has.
        data["model"]["vocab"] = [
            ["\x00" + piece if piece in specials else piece, score]
            for piece, score in data["model"]["vocab"]
        ]
    return json.dumps(data)


def _marker_ids(tokenizer: Tokenizer, letter: str) -> tuple[int, ...]:
    ids: list[int] = []
    while (k := tokenizer.token_to_id(f"[{letter}-{len(ids)}]")) is not None:
        ids.append(k)
    return tuple(ids)


def _replace_surrogates(text: str) -> str:
    # The tokenizer refuses strings with half of a surrogate pair.
    return text.encode("utf-8", "replace").decode("utf-8")


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise BundleNotFoundError(
            f"{path}: is missing, expected a tokenizer: fetch the model again"
        ) from error
    except (OSError, ValueError) as error:
        raise BundleCorruptError(f"{path}: cannot be read ({error}): fetch it again") from error


def _parse_tokenizer(path: Path, text: str) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_str(text)
    # The tokenizers library raises bare Exception for every malformed file.
    except Exception as error:
        raise BundleCorruptError(f"{path}: is not a tokenizer ({error}): fetch it again") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _max_tokens(folder: Path, positions: int | None) -> int:
    path = folder / "tokenizer_config.json"
    configured = read_config(path).get("model_max_length") if path.is_file() else None
    limit = DEFAULT_MAX_TOKENS
    if isinstance(configured, int | float) and 0 < configured < _NO_LIMIT:
        limit = int(configured)
    return limit if positions is None else min(limit, positions)
