"""Input of `Relik`: texts, mentions, candidates and windows, in every form upstream accepts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relik.errors import InputError
from relik.upstream.checkpoint.settings import TASKS, PipelineTask, Task
from relik.upstream.index.documents import Document, as_document
from relik.upstream.reader.fitting import CharSpan
from relik.upstream.text.token_windows import (
    TokenText,
    UpstreamWindow,
    char_range,
    join_words,
    tokenize,
)
from relik.upstream.text.words import SPACY, WordTokenizer


@dataclass(frozen=True, slots=True)
class InputTexts:
    """Texts of one call.

    Args:
        single: The input was one text, not a list, and so is the output.
    """

    documents: tuple[TokenText, ...]
    single: bool


def read_texts(
    text: Any, word_tokenizer: WordTokenizer = SPACY, *, is_split_into_words: bool = False
) -> InputTexts:
    """Read the texts of a call.

    Args:
        text: A text or a list of texts; with `is_split_into_words` a list of words, or a list
            of such lists.

    Raises:
        InputError: It is something else, or a text has half of a surrogate pair.
    """
    if is_split_into_words:
        if not _is_list(text):
            raise InputError(
                f"got {str(text)[:80]!r}, expected a list of words, or a list of such lists: pass "
                "words, or leave is_split_into_words out"
            )
        several = bool(text) and all(map(_is_list, text))
        lists = text if several else [text]
        return InputTexts(tuple(map(join_words, lists)), single=not several)
    if isinstance(text, str):
        return InputTexts((tokenize(text, word_tokenizer),), single=True)
    if not _is_list(text) or not all(isinstance(one, str) for one in text):
        raise InputError(
            f"got {str(text)[:80]!r}, expected a text or a list of texts: pass words with "
            "is_split_into_words=True"
        )
    return InputTexts(tuple(tokenize(one, word_tokenizer) for one in text), single=False)


def read_mentions(mentions: object, texts: InputTexts, *, words: bool) -> list[list[CharSpan]]:
    """Read the mentions of a call.

    Args:
        mentions: Pairs of start and end for one text, or a list of them for each.
        words: Offsets count words, not code points.

    Raises:
        InputError: They have another form, or do not lie in their text.
    """
    lists = _per_document(mentions, texts, "mentions", _is_pair)
    return [
        [_mention(pair, document, words=words) for pair in pairs]
        for document, pairs in zip(texts.documents, lists, strict=True)
    ]


def read_candidates(
    candidates: object, texts: InputTexts, *, task: PipelineTask
) -> dict[Task, list[list[Document]]]:
    """Read the candidates of a call, which replace retrieved ones.

    Args:
        candidates: Texts, documents or JSON objects for one text, or a list of them for each
            text; or a dict of either by "span" and "triplet".

    Raises:
        InputError: They have another form, or are for a task that the pipeline lacks.
    """
    tasks = TASKS if task == "both" else (task,)
    if isinstance(candidates, Mapping):
        given = {str(getattr(key, "value", key)).lower(): one for key, one in candidates.items()}
    elif candidates is None:
        given = {}
    elif task == "both":
        raise InputError(
            "got candidates without their task, expected a dict by span and triplet, since this "
            "pipeline has both tasks: pass such a dict"
        )
    else:
        given = {task: candidates}
    unknown = next((key for key in given if key not in tasks), None)
    if unknown is not None:
        raise InputError(
            f"got candidates for {unknown!r}, expected {' or '.join(tasks)}: leave out the other "
            "task"
        )
    return {
        one: [
            [as_document(candidate) for candidate in line]
            for line in _per_document(given[one], texts, "candidates", _is_candidate)
        ]
        for one in tasks
        if given.get(one) is not None
    }


def read_windows(windows: Any, word_tokenizer: WordTokenizer = SPACY) -> list[UpstreamWindow]:
    """Read the windows of a call, sorted by document and position.

    Args:
        windows: Objects or mappings with the fields of upstream's windows: `text`, and optionally
            `doc_id`, `window_id`, `offset`, `words`, `token2char_start` and `token2char_end`,
            which else follow from the text.

    Raises:
        InputError: They have another form, or their words are not in the text.
    """
    if not _is_list(windows):
        raise InputError(f"got {str(windows)[:80]!r}, expected a list of windows: pass a list")
    read: list[UpstreamWindow] = []
    seen: dict[int, int] = {}
    for window in windows:
        if isinstance(window, UpstreamWindow):
            read.append(window)
            continue
        doc_id = _field(window, "doc_id", int, 0)
        made = _window(window, word_tokenizer, doc_id=doc_id, number=seen.get(doc_id, 0))
        seen[doc_id] = made.window_id + 1
        read.append(made)
    return sorted(read, key=lambda one: (one.doc_id, one.offset, one.window_id))


def texts_of_windows(windows: Sequence[UpstreamWindow]) -> InputTexts:
    """Join the texts of windows, with spaces between windows that do not touch.

    Args:
        windows: Sorted by document and position.

    Returns:
        A text for each document from 0 to the last.
    """
    count = max((window.doc_id for window in windows), default=-1) + 1
    documents = []
    for doc_id in range(count):
        text = ""
        words: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        for window in windows:
            if window.doc_id != doc_id:
                continue
            text = text.ljust(window.offset)
            reached = len(text)
            text += window.text[reached - window.offset :]
            for word, start, end in zip(window.words, window.starts, window.ends, strict=True):
                if not starts or start > starts[-1]:
                    words.append(word)
                    starts.append(int(start))
                    ends.append(int(end))
        documents.append(
            TokenText(
                text,
                tuple(words),
                np.array(starts, dtype=np.int64),
                np.array(ends, dtype=np.int64),
            )
        )
    return InputTexts(tuple(documents), single=False)


def _per_document(
    value: Any, texts: InputTexts, name: str, is_item: Callable[[Any], bool]
) -> list[Sequence[Any]]:
    """Return the list of each text; a single text may come with its list alone."""
    if not _is_list(value):
        raise InputError(f"got {str(value)[:80]!r}, expected a list of {name}: pass a list")
    items: Sequence[Any] = value
    if texts.single and all(is_item(item) for item in items):
        return [items]
    if len(items) != len(texts.documents):
        raise InputError(
            f"got {name} for {len(items)} texts, expected {len(texts.documents)}: pass a list "
            "for each text"
        )
    for line in items:
        wrong = next((x for x in line if not is_item(x)), None) if _is_list(line) else line
        if wrong is not None or not _is_list(line):
            raise InputError(
                f"got {str(wrong)[:80]!r}, expected one of the {name} of a text: correct it"
            )
    return list(items)


def _is_list(value: Any) -> bool:
    # A named tuple is one value: a span, a document.
    return (
        isinstance(value, Sequence) and not isinstance(value, str) and not hasattr(value, "_fields")
    )


def _is_pair(value: Any) -> bool:
    if hasattr(value, "start") and hasattr(value, "end"):
        return True
    return _is_list(value) and len(value) == 2 and all(map(_is_whole, value))


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_candidate(value: object) -> bool:
    return isinstance(value, str | Document | Mapping)


def _mention(pair: Any, document: TokenText, *, words: bool) -> CharSpan:
    start, end = (pair.start, pair.end) if hasattr(pair, "start") else map(int, pair)
    if words:
        return char_range(document, start, end)
    if not 0 <= start < end <= len(document.text):
        raise InputError(
            f"got a mention from {start} to {end}, expected it within the "
            f"{len(document.text)} characters of the text: give code-point offsets"
        )
    return start, end


def _field(window: Any, name: str, kind: type, default: Any) -> Any:
    value = (
        window.get(name, default) if isinstance(window, Mapping) else getattr(window, name, default)
    )
    value = default if value is None else value
    if not isinstance(value, kind):
        raise InputError(
            f"got a window with the {name} {str(value)[:80]!r}, expected {kind.__name__}: "
            "correct it"
        )
    return value


def _window(
    window: Any, word_tokenizer: WordTokenizer, *, doc_id: int, number: int
) -> UpstreamWindow:
    text = _field(window, "text", str, None)
    offset = _field(window, "offset", int, 0)
    words = list(_field(window, "words", Sequence, ()))
    first = _field(window, "token2char_start", Mapping, {})
    last = _field(window, "token2char_end", Mapping, {})
    if words and len(first) == len(last) == len(words):
        starts = np.array([_word_offset(first, i) for i in range(len(words))], dtype=np.int64)
        ends = np.array([_word_offset(last, i) for i in range(len(words))], dtype=np.int64)
    elif words:
        starts, ends = _find_words(words, text, offset)
    else:
        made = tokenize(text, word_tokenizer)
        words, starts, ends = list(made.words), made.starts + offset, made.ends + offset
    for word, start, end in zip(words, starts, ends, strict=True):
        if text[start - offset : end - offset] != word or start < offset:
            raise InputError(
                f"got a window with the word {word!r} from {start} to {end}, expected the text "
                f"{text[max(0, start - offset) : end - offset]!r} there: correct its offset"
            )
    number = _field(window, "window_id", int, number)
    return UpstreamWindow(doc_id, number, text, tuple(words), starts, ends, offset)


def _word_offset(offsets: Mapping[Any, Any], word: int) -> int:
    # Keys of a window from JSON are strings.
    value = offsets.get(str(word), offsets.get(word))
    if not _is_whole(value):
        raise InputError(
            f"got a window with word {word} at {value!r}, expected a whole number: correct it"
        )
    return int(value)


def _find_words(words: Sequence[str], text: str, offset: int) -> tuple[Any, Any]:
    starts: list[int] = []
    reached = 0
    for word in words:
        at = text.find(word, reached)
        if at < 0:
            raise InputError(
                f"got a window with the word {word!r}, expected it in {text[:80]!r}: correct it"
            )
        starts.append(at + offset)
        reached = at + len(word)
    first = np.array(starts, dtype=np.int64)
    return first, first + np.array([len(word) for word in words], dtype=np.int64)
