"""The text entrance: what every tokenizer gets of a text, in training as in serving.

Words that line ends divide are joined, special tokens that a text spells out are ordinary text,
and half of a surrogate pair is a question mark. Code points keep their places.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Encoding, Tokenizer

from relik.errors import BundleCorruptError

# How a word goes on after the end of a line: behind a hyphen, where it goes on in lower case.
WRAPPED = r"-\r?\n[ \t]*(?=[a-z\u00DF-\u00FF])"
# Old newspapers have a sign of their own for it, and web pages a hyphen that is mostly unseen.
DIVIDED = rf"(?:(?:[\u00AC\u00AD]\s*)+|{WRAPPED})"
_DIVIDED_WORD = re.compile(rf"(?<=[^\W_]){DIVIDED}(?=[^\W_])")
_SOFT_HYPHEN = "\u00ad"


def rejoined(text: str) -> str:
    """Join the words that line ends divide, for tokenizers, which take the halves for words.

    Args:
        text: Any text.

    Returns:
        The text, of the same length, so that offsets into it stay right: what divides a word is
        soft hyphens throughout, which tokenizers of BERT's kind leave out.
    """
    if text.isascii() and "-\n" not in text and "-\r" not in text:
        return text
    return _DIVIDED_WORD.sub(lambda found: _SOFT_HYPHEN * len(found.group()), text)


def open_tokenizer(path: Path) -> Tokenizer:
    """Open a tokenizer.

    Args:
        path: Its tokenizer.json.

    Returns:
        A tokenizer of the caller's own: truncation and padding set on it affect no other.
        Special tokens that stand in a text are ordinary text to it.

    Raises:
        BundleCorruptError: The file is not a tokenizer.
    """
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    # The tokenizers library raises bare Exception for every malformed file.
    except Exception as error:
        raise BundleCorruptError(
            f"{path}: is not a tokenizer ({error}): fetch or build the bundle again"
        ) from error
    # The file cannot say so: [SEP] in a text is ordinary text.
    tokenizer.encode_special_tokens = True
    return tokenizer


def prepared(text: str) -> str:
    """Prepare a text for a tokenizer; the answer has the same length, so offsets stay right."""
    # Half of a surrogate pair is a valid string but no text: tokenizers refuse it.
    valid = text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
    return rejoined(valid)


class TextTokenizer:
    """Turns texts into tokens: whoever trains, indexes or serves a model asks this class.

    Args:
        tokenizer: Subwords. What is set on it stays as it is, and has no effect here.
    """

    __slots__ = ("_tokenizer",)

    def __init__(self, tokenizer: Tokenizer) -> None:
        plain = tokenizer
        cuts_or_pads = plain.truncation is not None or plain.padding is not None
        # One that is right as it is needs no copy, which takes as long as opening a tokenizer.
        if cuts_or_pads or not plain.encode_special_tokens:
            plain = Tokenizer.from_str(tokenizer.to_str())
            plain.no_truncation()
            plain.no_padding()
            plain.encode_special_tokens = True
        self._tokenizer = plain

    def __reduce__(self) -> tuple[type["TextTokenizer"], tuple[Tokenizer]]:
        """Make copies by the constructor, since a copied tokenizer forgets special tokens."""
        return type(self), (self._tokenizer,)

    def tokenise(self, texts: Sequence[str]) -> list[Encoding]:
        """Tokenise texts without special tokens; offsets are code points of the texts as given."""
        return self._tokenizer.encode_batch(list(map(prepared, texts)), add_special_tokens=False)

    def rows(self, texts: Sequence[str], *, max_tokens: int) -> list[list[int]]:
        """Give the token ids that an encoder reads.

        Args:
            texts: Any strings.
            max_tokens: Most tokens of a row, special tokens included; at least 1.

        Returns:
            Ids of each text, special tokens added by the tokenizer's post-processor; the
            separator that ends a text ends a cut one too.
        """
        encodings = self._tokenizer.encode_batch_fast(list(map(prepared, texts)))
        rows = [encoding.ids for encoding in encodings]
        return [
            ids if len(ids) <= max_tokens else [*ids[: max_tokens - 1], ids[-1]] for ids in rows
        ]
