"""Subwords of released encoders."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from tokenizers import Tokenizer

from relik.errors import InputError
from relik.upstream.backbone_settings import read_config
from relik.upstream.tokens import open_tokenizer

TokenRow: TypeAlias = tuple[list[int], list[int]]
"""Token ids and token types of a text, special tokens included."""

DEFAULT_MAX_TOKENS = 512
# Tokenizers of no limit say so by a number like 1e30.
_ABSURD_LENGTH = 1 << 20


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
            folder: With tokenizer.json, and perhaps tokenizer_config.json.
            positions: Most tokens that the model takes, or None for any number.

        Returns:
            The tokenizer.

        Raises:
            BundleError: A file is missing or broken.
        """
        tokenizer = open_tokenizer(folder)
        tokenizer.enable_truncation(_max_tokens(folder, positions))
        return cls(tokenizer)

    def rows(self, texts: Sequence[str], *, topics: Sequence[str] | None = None) -> list[TokenRow]:
        """Turn texts into tokens; the end of a long one is left out.

        Args:
            texts: Any strings.
            topics: A second text for each, put behind it.

        Returns:
            A row a text.

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


def _valid(text: str) -> str:
    # Half of a surrogate pair is a valid string but no text: the tokenizer refuses it.
    return text.encode("utf-8", "replace").decode("utf-8")


def _max_tokens(folder: Path, positions: int | None) -> int:
    path = folder / "tokenizer_config.json"
    stated = read_config(path).get("model_max_length") if path.is_file() else None
    limit = DEFAULT_MAX_TOKENS
    if isinstance(stated, int | float) and 0 < stated < _ABSURD_LENGTH:
        limit = int(stated)
    return limit if positions is None else min(limit, positions)
