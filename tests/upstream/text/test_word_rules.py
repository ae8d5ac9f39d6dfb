"""Rules for words are data, and count only if they are those of a release of spaCy."""

import json
from pathlib import Path

import pytest

from relik.errors import BundleError
from relik.upstream.text.word_rules import KNOWN, WordRules, spacy_rules
from relik.upstream.text.words import open_word_tokenizer

RULES = WordRules(
    prefix=r"^\(",
    suffix=r"\)$",
    infix="-",
    url_match="^http:",
    exceptions={"b": ("b",), "a\U0001f600": ("a", "\U0001f600")},
    sentence_ends=("!", "."),
)
# A pattern that takes for ever on a text of some dozen letters.
EVIL = {"prefix": "^(a+)+$"}


def test_rules_are_read_as_they_were_written() -> None:
    assert WordRules.from_json(RULES.to_json()) == RULES
    assert RULES.to_json().isascii()


def test_equal_rules_have_one_digest_and_others_another() -> None:
    turned = dict(reversed(RULES.exceptions.items()))
    values = {name: getattr(RULES, name) for name in ("prefix", "suffix", "infix", "url_match")}
    ends = RULES.sentence_ends[::-1]
    assert WordRules(**values, exceptions=turned, sentence_ends=ends).digest == RULES.digest
    other = WordRules(**values | EVIL, exceptions=turned, sentence_ends=ends)
    assert other.digest != RULES.digest
    assert not RULES.is_known


@pytest.mark.parametrize("content", [RULES.to_json().encode(), b"", b"{", b"\xff\x00", b"[" * 999])
def test_rules_that_are_not_known_are_not_even_parsed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "words.json"
    path.write_bytes(content)
    assert WordRules.read(path) is None
    assert open_word_tokenizer(path) is None


@pytest.mark.parametrize("name", ["missing.json", "folder"])
def test_rules_that_cannot_be_read_are_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(BundleError, match=rf"{name}: cannot be read"):
        open_word_tokenizer(tmp_path / name)


def test_the_rules_of_the_spacy_that_is_installed_are_known() -> None:
    pytest.importorskip("spacy")
    rules, version = spacy_rules()
    assert rules.digest in KNOWN, f"spaCy {version} has rules that are not in relik.upstream"
    assert rules.is_known


def test_known_rules_that_were_altered_are_not_used(tmp_path: Path) -> None:
    pytest.importorskip("spacy")
    path = tmp_path / "words.json"
    spacy_rules()[0].write(path)
    word_tokenizer = open_word_tokenizer(path)
    assert word_tokenizer is not None
    assert word_tokenizer.tokenize("can't")[0] == ("ca", "n't")
    known = path.read_bytes()
    for altered in (
        json.dumps(json.loads(known) | EVIL, sort_keys=True, separators=(",", ":")).encode(),
        known + b" ",
        known[:-1],
        known + b" " * (1 << 20),
    ):
        path.write_bytes(altered)
        assert open_word_tokenizer(path) is None
