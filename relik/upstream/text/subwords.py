"""Subwords of released readers: words one by one, candidates once, and which ids are markers."""

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
"""What released readers call a mention of nothing known: a marker, a candidate and a label."""

MAX_CACHED = 1 << 17

TokenRow: TypeAlias = tuple[list[int], list[int]]
"""Token ids and token types of a text, special tokens included."""

DEFAULT_MAX_TOKENS = 512
# Tokenizers of no limit say so by a number like 1e30.
_ABSURD_LENGTH = 1 << 20


def open_tokenizer(folder: Path) -> Tokenizer:
    """Open a tokenizer; it neither truncates nor pads.

    Raises:
        BundleNotFoundError: There is no such file.
        BundleCorruptError: It is not a tokenizer.
    """
    return _parsed(folder / TOKENIZER, _read(folder / TOKENIZER))


@dataclass(frozen=True, slots=True, kw_only=True)
class Markers:
    """Which ids are special to a reader.

    Args:
        cls: First token of a row.
        sep: Separator.
        nme: Marker of the candidate `NME`, or None where the reader has none.
        entities: Entity markers, in order.
        relations: Relation markers, in order.
        n_base: Tokens before the first added one.
        n_all: Tokens along with the added ones.
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
        """Look the markers of a reader up.

        Raises:
            BundleCorruptError: There is no [CLS], no [SEP] or no marker.
        """
        first, separator = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
        entities, relations = (_numbered(tokenizer, letter) for letter in "ER")
        if first is None or separator is None or not entities + relations:
            raise BundleCorruptError(
                f"{source}: lacks [CLS], [SEP] or the markers [E-0] and [R-0], expected the "
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
        ids: Int64, (n,).
        starts: Int64, (n,), first code point of each in the document.
        ends: Int64, (n,), one past its last code point.
        words: Int64, (n,), the word each is of.
    """

    ids: IntArray
    starts: IntArray
    ends: IntArray
    words: IntArray


class ReaderTokenizer:
    """Turns words and candidates into ids.

    Args:
        tokenizer: As the quirks need it: see `open`.
        markers: Special ids.
        prefix: What stands before a candidate while it is encoded, a marker or nothing.
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
            quirks: Read a marker in a text or in a candidate as that marker, as upstream does;
                else it is ordinary text.

        Raises:
            BundleError: The file is missing or broken.
        """
        path = folder / TOKENIZER
        text = _read(path)
        tokenizer = _parsed(path, text)
        markers = Markers.of(tokenizer, source=path)
        if quirks:
            first = (markers.entities + markers.relations)[0]
            return cls(tokenizer, markers, prefix=f"{tokenizer.id_to_token(first)} ")
        return cls(_parsed(path, _without_specials(text)), markers, prefix="")

    def encode_words(self, windows: Sequence[UpstreamWindow]) -> list[WordTokens]:
        """Encode the words of windows, each word on its own."""
        unique = sorted({word for window in windows for word in window.words})
        encodings = self._tokenizer.encode_batch(
            [_valid(word) for word in unique], add_special_tokens=False
        )
        known = {
            word: (encoding.ids, np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2))
            for word, encoding in zip(unique, encodings, strict=True)
        }
        return [_word_tokens(window, known) for window in windows]

    def encode_candidates(self, candidates: Sequence[str]) -> list[tuple[int, ...]]:
        """Encode candidates, without their markers."""
        missing = list(dict.fromkeys(c for c in candidates if c not in self._candidates))
        encodings = self._tokenizer.encode_batch(
            [self._prefix + _valid(candidate) for candidate in missing], add_special_tokens=False
        )
        skip = 1 if self._prefix else 0
        fresh = {
            candidate: tuple(encoding.ids[skip:])
            for candidate, encoding in zip(missing, encodings, strict=True)
        }
        known = self._candidates
        found = [fresh[c] if c in fresh else known[c] for c in candidates]
        # A reader that lives long meets more names than are worth keeping.
        if len(known) + len(fresh) > MAX_CACHED:
            self._candidates = fresh
        else:
            known.update(fresh)
        return found


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
    """Make the file of a tokenizer to which [SEP] and markers are ordinary text."""
    data = json.loads(text)
    specials = {token["content"] for token in data["added_tokens"]}
    data["added_tokens"], data["post_processor"] = [], None
    if data["model"]["type"] == "Unigram":
        # Special tokens are pieces of the vocabulary as well: these get a name that no text has.
        data["model"]["vocab"] = [
            ["\x00" + piece if piece in specials else piece, score]
            for piece, score in data["model"]["vocab"]
        ]
    return json.dumps(data)


def _numbered(tokenizer: Tokenizer, letter: str) -> tuple[int, ...]:
    ids: list[int] = []
    while (k := tokenizer.token_to_id(f"[{letter}-{len(ids)}]")) is not None:
        ids.append(k)
    return tuple(ids)


def _valid(text: str) -> str:
    # Half of a surrogate pair is a valid string but no text: the tokenizer refuses it.
    return text.encode("utf-8", "replace").decode("utf-8")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise BundleNotFoundError(
            f"{path}: is missing, expected a tokenizer: fetch the model again"
        ) from error
    except (OSError, ValueError) as error:
        raise BundleCorruptError(f"{path}: cannot be read ({error}): fetch it again") from error


def _parsed(path: Path, text: str) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_str(text)
    # The tokenizers library raises bare Exception for every malformed file.
    except Exception as error:
        raise BundleCorruptError(f"{path}: is not a tokenizer ({error}): fetch it again") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


class EncoderTokenizer:
    """Turns texts into rows of tokens.

    Args:
        tokenizer: Adds special tokens and truncates.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def open(cls, folder: Path, *, positions: int | None) -> "EncoderTokenizer":
        """Open the tokenizer of an encoder.

        Args:
            positions: Most tokens that the model takes, or None for any number.

        Raises:
            BundleError: A file is missing or broken.
        """
        tokenizer = open_tokenizer(folder)
        tokenizer.enable_truncation(_max_tokens(folder, positions))
        return cls(tokenizer)

    def rows(self, texts: Sequence[str], *, topics: Sequence[str] | None = None) -> list[TokenRow]:
        """Turn texts into tokens; the end of a long one is left out.

        Raises:
            InputError: Topics and texts differ in number.
        """
        inputs: list[str] | list[tuple[str, str]] = [_valid(text) for text in texts]
        if topics is not None:
            if len(topics) != len(texts):
                raise InputError(
                    f"got {len(topics)} topics for {len(texts)} texts, expected one for each"
                )
            pairs = zip(texts, topics, strict=True)
            inputs = [(_valid(text), _valid(topic)) for text, topic in pairs]
        return [(found.ids, found.type_ids) for found in self._tokenizer.encode_batch(inputs)]


def _max_tokens(folder: Path, positions: int | None) -> int:
    path = folder / "tokenizer_config.json"
    stated = read_config(path).get("model_max_length") if path.is_file() else None
    limit = DEFAULT_MAX_TOKENS
    if isinstance(stated, int | float) and 0 < stated < _ABSURD_LENGTH:
        limit = int(stated)
    return limit if positions is None else min(limit, positions)
