"""spaCy's DocBin: documents with named entities and their ids, the input of `spacy train`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from relik.errors import InputError
from relik_training.formats.annotated import (
    Mention,
    Record,
    RecordBuilder,
    without_overlaps,
    without_triples,
)
from relik_training.formats.conversion_report import Report
from relik_training.formats.extras import import_optional
from relik_training.formats.spert import UNTYPED
from relik_training.formats.streams import read_bytes, written
from relik_training.formats.tokens import cut, in_tokens

_DOC_ID = "doc_id"


class DocBin:
    """`Doc.ents` with labels and `kb_id_`; the whole file is held in memory."""

    loses = (
        "triples, overlapping spans, clusters, other fields; spans without a type get the label "
        "Entity"
    )

    def read(self, path: Path, report: Report) -> Iterator[Record]:
        """Read documents; spans are those of `Doc.ents`."""
        spacy = import_optional("spacy", "docbin")
        tokens = import_optional("spacy.tokens", "docbin")
        content = read_bytes(path)
        if not content:
            return
        try:
            documents = tokens.DocBin().from_bytes(content)
            vocabulary = spacy.blank("xx").vocab
            for number, doc in enumerate(documents.get_docs(vocabulary)):
                report.progress(number + 1, len(documents))
                yield _record(doc, str(number), report)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: is not a DocBin ({type(error).__name__}: {error}): give a .spacy file"
            ) from error

    def keep(self, record: Record, report: Report) -> Record | None:
        """Drop triples, and all but the longest of overlapping mentions."""
        kept = in_tokens(without_triples(record, report, "docbin holds no triples"), report)
        return None if kept is None else without_overlaps(kept, report)

    def write(self, records: Iterable[Record], path: Path) -> None:
        """Write tokens, split at white space, mentions and punctuation; the text is unchanged."""
        spacy = import_optional("spacy", "docbin")
        tokens = import_optional("spacy.tokens", "docbin")
        vocabulary = spacy.blank("xx").vocab
        documents = tokens.DocBin(store_user_data=True)
        for record in records:
            documents.add(_doc(tokens, vocabulary, record))
        with written(path) as out:
            out.write(documents.to_bytes())


def _record(doc: Any, fallback_id: str, report: Report) -> Record:
    builder = RecordBuilder(str(doc.user_data.get(_DOC_ID, fallback_id)), doc.text, report)
    for number, entity in enumerate(doc.ents):
        mention = Mention(
            start=entity.start_char,
            end=entity.end_char,
            entity_id=entity.kb_id_ or None,
            extra={"type": entity.label_} if entity.label_ else {},
        )
        builder.mention(number, mention)
    return builder.build()


def _doc(tokens: Any, vocabulary: Any, record: Record) -> Any:
    words: list[str] = []
    spaces: list[bool] = []
    end = 0
    for start, stop in [*cut(record).offsets, (len(record.text), len(record.text))]:
        gap = record.text[end:start]
        # In spaCy one space belongs to the token before it; other white space is a token.
        if gap and words and gap[0] == " ":
            spaces[-1] = True
            gap = gap[1:]
        words.extend(part for part in (gap, record.text[start:stop]) if part)
        spaces.extend([False] * (len(words) - len(spaces)))
        end = stop
    doc = tokens.Doc(vocabulary, words=words, spaces=spaces)
    doc.user_data[_DOC_ID] = record.doc_id
    doc.ents = [
        doc.char_span(
            mention.start,
            mention.end,
            label=mention.text("type", UNTYPED),
            kb_id=mention.entity_id or "",
        )
        for mention in record.mentions
    ]
    return doc
