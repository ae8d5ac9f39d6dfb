"""Ask the bundle that ships about the golden texts, and compare with the answers on file.

Usage: scripts/golden [--diff]

Without --diff, answers.json is written anew. With it, what differs is printed, nothing is written,
and the exit code is 1 where anything differs.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from relik import AnnotateOptions, Annotation, Document, Pipeline, Span, open_bundle
from relik.cli import main as relik

HERE = Path(__file__).parent
ANSWERS = HERE / "answers.json"

TOLERANCE = 1e-4
"""Most by which a score may differ."""
MARGIN = 0.02
"""What lies so near its threshold may be in one answer and not in another."""
LEAST_CANDIDATE = 0.01
"""A candidate of a lower score may be in one answer and not in another."""
DIGITS = 6
KINDS = ("span", "triple", "candidate")

Key = tuple[object, ...]
"""What is compared exactly: ("span", start, end, id), ("candidate", start, end, id, source) or
("triple", (start, end), relation id, (start, end))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenText:
    """A text and how it is asked about.

    Args:
        text_id: Unique among all golden texts.
        text: The text.
        mentions: Given mentions; None where they are to be found.
        options: Tasks and thresholds.
    """

    text_id: str
    text: str
    mentions: tuple[Span, ...] | None
    options: AnnotateOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """A knowledge base that texts are linked to.

    Args:
        texts: File of the texts.
        records: File of the records; None for the bundle's own index.
        build: Options of `relik index build`.
    """

    texts: Path
    records: Path | None = None
    build: tuple[str, ...] = ()


KNOWLEDGE = (
    Knowledge(texts=HERE / "texts.jsonl"),
    Knowledge(texts=HERE / "term_texts.jsonl", records=HERE / "terms.jsonl", build=("--any-case",)),
    Knowledge(
        texts=HERE / "name_texts.jsonl",
        records=HERE / "names.jsonl",
        build=("--linked-text", str(HERE / "names_linked.jsonl")),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was answered about one text.

    Args:
        scores: Scores, 0..1, by what has them.
        coverage: Characters and windows read, and whether anything was cut.
    """

    scores: Mapping[Key, float]
    coverage: tuple[int, int, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The bundle's own thresholds.

    Args:
        span: Least score of a span, 0..1.
        triple: Least score of a triple, 0..1.
    """

    span: float
    triple: float


def read_texts(path: Path) -> list[GoldenText]:
    """Read golden texts: lines {"id", "text", "mentions"?, "options"?}."""
    return [_golden_text(json.loads(line)) for line in path.read_text("utf-8").splitlines()]


def _golden_text(row: Mapping[str, Any]) -> GoldenText:
    options: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in row.get("options", {}).items()
    }
    mentions = row.get("mentions")
    return GoldenText(
        text_id=row["id"],
        text=row["text"],
        mentions=None if mentions is None else tuple(Span(*one) for one in mentions),
        options=AnnotateOptions(**options),
    )


def all_texts() -> list[GoldenText]:
    """Read the texts of all knowledge bases."""
    return [text for each in KNOWLEDGE for text in read_texts(each.texts)]


def read_thresholds() -> Thresholds:
    """Read the thresholds of the bundle that ships."""
    reader = open_bundle().config.reader
    return Thresholds(span=reader.threshold, triple=reader.relation_threshold)


def ask_all(folder: Path) -> dict[str, Answer]:
    """Ask about all golden texts.

    Args:
        folder: An empty folder, for the indexes.

    Returns:
        Answers by the id of the text.
    """
    bundle = open_bundle()
    answers: dict[str, Answer] = {}
    for each in KNOWLEDGE:
        index = None if each.records is None else folder / each.records.stem
        if each.records is not None and index is not None:
            build(each.records, index, each.build)
        answers |= ask(bundle.pipeline("onnx", entities=index), read_texts(each.texts))
    return answers


def build(records: Path, index: Path, options: Sequence[str]) -> None:
    """Build an index with the command that users have for it.

    Args:
        records: File of the records.
        index: The folder to make.
        options: Options of the command.

    Raises:
        SystemExit: It failed.
    """
    command = ["index", "build", str(records), str(index), *options, "--backend", "onnx", "--json"]
    try:
        with redirect_stdout(StringIO()):
            relik(command)
    except SystemExit as done:
        if done.code:
            raise


def ask(pipeline: Pipeline, texts: Sequence[GoldenText]) -> dict[str, Answer]:
    """Ask a pipeline about texts, those with the same options in one call."""
    groups: dict[tuple[AnnotateOptions, bool], list[GoldenText]] = {}
    for each in texts:
        groups.setdefault((each.options, each.mentions is None), []).append(each)
    answers = {}
    for (options, free), group in groups.items():
        documents = [Document(doc_id=each.text_id, text=each.text) for each in group]
        if free:
            annotations = pipeline.annotate(documents, options=options)
        else:
            mentions = [each.mentions or () for each in group]
            annotations = pipeline.link(documents, mentions, options=options)
        answers.update({one.doc_id: _answer(one) for one in annotations})
    return {each.text_id: answers[each.text_id] for each in texts}


def _answer(annotation: Annotation) -> Answer:
    scores: dict[Key, float] = {}
    for one in annotation.spans:
        place = one.span.start, one.span.end
        scores["span", *place, one.entity_id] = one.score
        for each in one.candidates:
            scores["candidate", *place, each.entity_id, each.source] = each.score
    for triple in annotation.triples:
        ends = [(end.start, end.end) for end in (triple.subject, triple.object)]
        scores["triple", ends[0], triple.relation_id, ends[1]] = triple.score
    coverage = annotation.coverage
    return Answer(
        scores={key: round(score, DIGITS) for key, score in scores.items()},
        coverage=(coverage.characters, coverage.windows, coverage.truncated),
    )


def unsure(answer: Answer, text: GoldenText, thresholds: Thresholds) -> set[Key]:
    """Find what lies too near its threshold, and what stands or falls with it.

    Args:
        answer: What was answered.
        text: The text, whose options may have other thresholds.
        thresholds: Those of the bundle.

    Returns:
        Keys of `answer.scores`.
    """
    options = text.options
    span = thresholds.span if options.threshold is None else options.threshold
    asked = options.relation_threshold
    triple = thresholds.triple if asked is None else asked
    least = {"triple": triple + MARGIN, "candidate": LEAST_CANDIDATE}
    if text.mentions is None:
        least["span"] = span + MARGIN
    scores = answer.scores
    near = {key for key, score in scores.items() if score < least.get(str(key[0]), 0.0)}
    near_spans = {key[1:3] for key in near if key[0] == "span"}
    near |= {key for key in scores if key[0] == "candidate" and key[1:3] in near_spans}
    triples = {key: {key[1], key[3]} for key in scores if key[0] == "triple"}
    near |= {key for key, ends in triples.items() if ends & near_spans}
    # What is linked to nothing may be there for the sake of a triple alone.
    held = {end for key, ends in triples.items() if key not in near for end in ends}
    spans = (key for key in scores if key[0] == "span" and key[1:3] not in held)
    return near | {key for key in spans if not _stands_alone(key, text)}


def _stands_alone(span: Key, text: GoldenText) -> bool:
    kept = text.options.nil or text.mentions is not None or span[3] is not None
    return text.options.entities and kept


def differences(
    expected: Mapping[str, Answer],
    actual: Mapping[str, Answer],
    texts: Sequence[GoldenText],
    thresholds: Thresholds,
) -> list[str]:
    """Compare answers: ids and places exactly, scores within `TOLERANCE`.

    Args:
        expected: Answers by the id of the text.
        actual: Those to compare with them.
        texts: All texts.
        thresholds: Those of the bundle.

    Returns:
        A line for each difference.
    """
    found = [
        f"{one}: asked of no text" for one in expected if one not in {t.text_id for t in texts}
    ]
    for text in texts:
        if text.text_id not in expected or text.text_id not in actual:
            found.append(f"{text.text_id}: an answer is missing")
            continue
        pair = expected[text.text_id], actual[text.text_id]
        loose = [unsure(answer, text, thresholds) for answer in pair]
        lines = _differing(*pair, loose, text.text)
        found.extend(f"{text.text_id}: {line}" for line in lines)
    return found


def _differing(
    expected: Answer, got: Answer, loose: Sequence[set[Key]], text: str
) -> Iterator[str]:
    if expected.coverage != got.coverage:
        yield f"coverage: got {got.coverage}, expected {expected.coverage}"
    for key, score in expected.scores.items():
        if key not in got.scores:
            if key not in loose[0]:
                yield f"missing {_shown(key, text)} {score:.4f}"
        elif key in loose[0] and key in loose[1]:
            continue
        elif abs(got.scores[key] - score) > TOLERANCE:
            yield f"score of {_shown(key, text)}: got {got.scores[key]:.6f}, expected {score:.6f}"
    for key, score in got.scores.items():
        if key not in expected.scores and key not in loose[1]:
            yield f"unexpected {_shown(key, text)} {score:.4f}"


def _shown(key: Key, text: str) -> str:
    kind, *rest = key
    if kind == "triple":
        subject, relation, of = rest
        return f"triple {_place(subject, text)} {relation} {_place(of, text)}"
    start, end, *named = rest
    return " ".join([str(kind), _place((start, end), text), *map(str, named)])


def _place(place: Any, text: str) -> str:
    start, end = place
    return f"{start}-{end} {text[start:end]!r}"


def write_answers(answers: Mapping[str, Answer], path: Path) -> None:
    """Write answers to a file, a text a line."""
    lines = []
    for text_id, answer in answers.items():
        told: dict[str, object] = {"coverage": answer.coverage}
        for kind in KINDS:
            scores = answer.scores.items()
            told[f"{kind}s"] = [[*key[1:], score] for key, score in scores if key[0] == kind]
        lines.append(f"{json.dumps(text_id)}: {json.dumps(told)}")
    model = json.dumps(open_bundle().config.model)
    head = f'"command": "scripts/golden",\n"model": {model},\n"answers": {{\n'
    path.write_text("{" + head + ",\n".join(lines) + "\n}}\n", encoding="utf-8")


def read_answers(path: Path) -> dict[str, Answer]:
    """Read answers as `write_answers` writes them."""
    told = json.loads(path.read_text("utf-8"))["answers"]
    return {text_id: _read_answer(row) for text_id, row in told.items()}


def _read_answer(row: Mapping[str, Any]) -> Answer:
    scores = {
        (kind, *(tuple(part) if isinstance(part, list) else part for part in key)): score
        for kind in KINDS
        for *key, score in row[f"{kind}s"]
    }
    return Answer(scores=scores, coverage=tuple(row["coverage"]))


def main() -> int:
    """Write the answers anew, or print what differs from those on file."""
    parser = argparse.ArgumentParser(prog="scripts/golden", description=__doc__)
    parser.add_argument("--diff", action="store_true", help="print what differs, write nothing")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        answers = ask_all(Path(folder))
    if not asked.diff:
        write_answers(answers, ANSWERS)
        return 0
    found = differences(read_answers(ANSWERS), answers, all_texts(), read_thresholds())
    sys.stdout.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
