"""The text entrance: how a text is prepared before any tokenizer or name lookup sees it."""

import re
from pathlib import Path

from tokenizers import Tokenizer

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
