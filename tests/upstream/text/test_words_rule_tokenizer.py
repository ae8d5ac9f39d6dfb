"""Texts are cut by rules alone, as spaCy cuts them, in a time by their length."""

import random
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relik.upstream.text.word_rules import WordRules, spacy_rules
from relik.upstream.text.words import SPACY, RuleTokenizer

SMALL = RuleTokenizer(
    WordRules(
        prefix=r"^\(|^:|^\.\.+",
        suffix=r"\)$|\.\.+$|,$|(?<=[a-z])\.$|(?<=[0-9])km$|'s$",
        infix=r"\.\.+|(?<=[a-z])-(?=[a-z])|,",
        url_match=r"(?u)^https?://(?:\S+(?::\S*)?@)?[a-z]+\.[a-z/-]+$",
        exceptions={
            "can't": ("ca", "n't"),
            ":)": (":)",),
            "a.m.": ("a.m.",),
            "10km": ("10km",),
            "co. k": ("co. k",),
        },
        sentence_ends=(".", "!"),
    )
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" ", [" "]),
        ("a", ["a"]),
        ("a b  c\n\nd ", ["a", "b", " ", "c", "\n\n", "d"]),
        (" a", [" ", "a"]),
        ("(a,)", ["(", "a", ",", ")"]),
        ("((a))", ["(", "(", "a", ")", ")"]),
        ("(((", ["(", "(", "("]),
        ("can't", ["ca", "n't"]),
        ("(can't)", ["(", "ca", "n't", ")"]),
        ("x-can't", ["x", "-", "can't"]),
        ("5 a.m.", ["5", "a.m."]),
        ("(a.m.)", ["(", "a.m.", ")"]),
        ("5km 10km 10km,", ["5", "km", "10km", "10km", ","]),
        (":)", [":)"]),
        ("a:)", ["a:", ")"]),
        ("::)", [":", ":)"]),
        (": )", [":", ")"]),
        ("(:)", ["(", ":)"]),
        ("a co. k,", ["a", "co. k", ","]),
        ("co.  k", ["co", ".", " ", "k"]),
        ("well-known-a,b", ["well", "-", "known", "-", "a", ",", "b"]),
        (",a", [",a"]),
        ("http://a.b-c/d", ["http://a.b-c/d"]),
        ("http://u:p@a.b-c,", ["http://u:p@a.b-c", ","]),
        ("a" + "." * 100, ["a", "." * 100]),
        ("." * 100 + "a", ["." * 100, "a"]),
        ("." * 17, ["." * 17]),
        ("b's", ["b", "'s"]),
    ],
)
def test_words_are_cut_as_the_rules_say(text: str, words: list[str]) -> None:
    found, starts, ends = SMALL.tokenize(text)
    assert list(found) == words
    assert [text[start:end] for start, end in zip(starts, ends, strict=True)] == words
    assert starts.dtype == ends.dtype == np.int64


def test_a_sentence_ends_with_its_last_punctuation() -> None:
    words = ["A", ".", ")", "B", "!", "!", "C", "", "."]
    assert list(SMALL.sentences(words)) == [(0, 3), (3, 6), (6, 9)]
    assert list(SMALL.sentences([".", ""])) == [(0, 1), (1, 2)]
    assert list(SMALL.sentences([])) == []


# The rules of spaCy, against it.


@pytest.fixture(scope="module")
def ours() -> RuleTokenizer:
    pytest.importorskip("spacy")
    return RuleTokenizer(spacy_rules()[0])


def check(ours: RuleTokenizer, text: str) -> None:
    words, starts, ends = ours.tokenize(text)
    expected, *places = SPACY.tokenize(text)
    assert words == expected
    assert (starts.tolist(), ends.tolist()) == tuple(place.tolist() for place in places)
    assert list(ours.sentences(words)) == list(SPACY.sentences(words))


PIECES = """http://a.b/c?d=e&f=(g) www.x.org x@y.com a.b.co.uk ftp://1.2.3.4:80/ http://u:p@x.org/a:b
https://en.wikipedia.org/wiki/A_(b), mailto:x@y.com #tag @me 12:30 10km 5°C. $5 US$5 5% 1,000.50
+49 a/b a-b x--y -- --- ... .. … 's ’s n't can't CAN’T don't. cannot gonna y'all U.S.A. U.S. e.g.
i.e. St. p.m. 10a.m. 8am (: :) :( ;-) =D :-))) (ಠ_ಠ) <3 ^_^ C++ f(x) <br/> &amp; a=b its' 'tis '90s
Mr. Mr.X Dr. () ( ) [ ] { } " “ ” „ ‘ ’ « » ' , ; : ! ? . ?! !!! — – _ __ * ** ~ ^ ` | / \\ \\n \\t
\\") 。 ！ ، ؟ । · 👍🏽 👨‍👩‍👧 🇬🇧 ☃️ 日本語 한국어 עברית العربية हिन्दी
İ ß ﬁ Ⅷ ½ x² 5m² µm € £ £5 5£ ° ©
""".split()  # noqa: RUF001, SIM905  # confusable on purpose; a list of them is unreadable
PIECES += ["\u200b", "\u00ad", "e\u0301", "\x00", "\ufeff", "\u202e"]
BLANKS = ["", "", " ", " ", "  ", "\n", "\t", " \n ", "\r\n"]
BLANKS += ["\x1c", "\x85", "\xa0", "\u2003", "\u2028", "\u3000"]
TEXTS = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from(PIECES),
            st.tuples(st.sampled_from(PIECES), st.sampled_from([2, 3, 15, 17, 70])).map(
                lambda both: both[0] * both[1]
            ),
            st.text(alphabet="abzAZ019.,'-/:()", max_size=8),
            st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=4),
        ),
        st.sampled_from(BLANKS),
    ),
    max_size=12,
).map(lambda pieces: "".join(piece + blank for piece, blank in pieces))


@given(TEXTS)
@example("a:) b, (:( c):)")
@example("he didn't, we'll've; \"It's 5p.m.\" she said.(Cf. e.g. U.S.)")
@example("I'm\xa0here\u2003now. So\n\n what ?!”  No.")
def test_any_text_is_cut_as_spacy_cuts_it(ours: RuleTokenizer, text: str) -> None:
    check(ours, text)


def test_every_exception_is_cut_as_spacy_cuts_it(ours: RuleTokenizer) -> None:
    exceptions = sorted(spacy_rules()[0].exceptions)
    assert len(exceptions) > 1000
    for chunk in exceptions:
        for text in (chunk, f"({chunk}),", f"a{chunk} {chunk}b", f"{chunk}{chunk}", f"x-{chunk}."):
            check(ours, text)


def test_neighbouring_exceptions_are_cut_as_spacy_cuts_them(ours: RuleTokenizer) -> None:
    odd = [one for one in sorted(spacy_rules()[0].exceptions) if not one.isalnum()]
    draw = random.Random(7)
    for _ in range(400):
        check(ours, "".join(draw.choice(odd) + draw.choice(BLANKS) for _ in range(12)))


@given(st.lists(st.one_of(st.sampled_from([".", "!", "?", ")", "”", "", " ", "a"]), st.text())))
def test_words_that_are_given_make_the_sentences_of_spacy(
    ours: RuleTokenizer, words: list[str]
) -> None:
    words = [word.encode("utf-8", "ignore").decode() for word in words]
    assert list(ours.sentences(words)) == list(SPACY.sentences(words))


# What a server relies on.


@pytest.mark.parametrize("unit", ["(", "'s", ".....'", "a:", "a@", "a-", ":)", "💡", "a.", "\n "])
def test_long_texts_without_spaces_take_time_by_their_length(
    ours: RuleTokenizer, unit: str
) -> None:
    text = "http://" + unit * (60_000 // len(unit))
    started = time.process_time()
    words, starts, ends = ours.tokenize(text)
    # Were it by the square of the length, it would be minutes.
    assert time.process_time() - started < 20
    assert starts[0] == 0
    assert ends[-1] == len(text)
    assert "".join(words) == text


def test_threads_share_one(ours: RuleTokenizer) -> None:
    texts = [" ".join(f"w{n}x{k % 500}," for k in range(2000)) for n in range(60)]
    with ThreadPoolExecutor(4) as pool:
        cut = list(pool.map(ours.tokenize, texts))
    for text, (words, _, _) in zip(texts, cut, strict=True):
        assert words == tuple(part for word in text.split() for part in (word[:-1], ","))


def test_what_was_seen_takes_bounded_memory() -> None:
    text = " ".join(f"w{k}" for k in range(60_000))
    tracemalloc.start()
    assert len(SMALL.tokenize(text)[0]) == 60_000
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 1_000_000 < kept < 12_000_000
