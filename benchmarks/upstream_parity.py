"""Compare the answers of `Relik` on released pipelines with stored answers of upstream.

The calls are repeated with quirks and without. Each call with quirks falls into one of `CLASSES`;
each difference without quirks is of one of `KINDS`. tests/upstream uses the same rules.
"""

import argparse
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from relik.errors import RelikError

if TYPE_CHECKING:
    from relik.upstream.dropin.outputs import RelikOutput
    from relik.upstream.dropin.relik import Relik

FIXTURES = Path(__file__).parents[1] / "tests" / "golden" / "upstream"
CLASSES = {
    "equal": "the same text, tokens, spans and triplets in the same order",
    "order_of_ties": "the same spans and triplets; spans with one start are in another order",
    "differ": "something else, by `REASONS`",
    "upstream_failed": "upstream failed, and there is an answer",
    "both_failed": "neither answered",
    "we_failed": "upstream answered, and there is an error",
}
REASONS = {
    "candidates_tie": "candidates with equal scores are in another order",
    "labels_of_a_place": "a triplet has another of several labels of a span",
    "unlike": "neither",
}
KINDS = {
    "overlap": "a dropped span overlaps a kept one",
    "several_labels": "a dropped span has the offsets of a kept one with another label",
    "other_label": "a span has a label that upstream did not give it",
    "end_before_start": "upstream's span ends before it starts: it has another end, or none",
    "triplet_without_end": "a triplet is dropped because one of its spans is",
    "triplet_moved": "a triplet, or its confidence, belongs to overlapping spans",
    "triplet_doubled": "a triplet that upstream repeats occurs once",
    "not_rounded": "the confidence of a triplet is upstream's before rounding",
    "space_kept": "the text keeps the space at its end",
    "max_length": "none of these; the call sets a length that not all candidates fit",
    "marker": "none of these; the text contains a marker",
    "unexplained": "none of these",
}
# Closer scores differ by rounding, so that their order is arbitrary.
TIE = 2e-5
# Half of the last of two decimals, with the error of float32.
ROUNDING = 0.005 + 1e-6
MARKER = re.compile(r"--NME--|\[(?:[ER]-\d+|CLS|SEP|MASK)\]")

Case: TypeAlias = dict[str, Any]
Output: TypeAlias = dict[str, Any]
Row: TypeAlias = list[Any]


def listed(answer: "RelikOutput | list[RelikOutput]") -> "list[RelikOutput]":
    """Return the output or outputs of a call as a list."""
    return answer if isinstance(answer, list) else [answer]


def rank_gap(case: Case, answers: "Sequence[RelikOutput]") -> float | None:
    """Compare the order of candidates with upstream's.

    Returns:
        The largest difference of scores between candidates in another order, 0 for the same order;
        None if other candidates were retrieved, or scores differ by more than `TIE`.
    """
    offered: dict[str, list[list[Any]]] = {"encoder-span": [], "encoder-triplet": []}
    for answer in answers:
        for name in ("span", "triplet"):
            for line in (getattr(answer.candidates, name) or [[]])[0]:
                offered[f"encoder-{name}"].append([document.id for document in line])
    gap = 0.0
    for retrieved in case.get("retrieved", []):
        ours = offered[retrieved["encoder"]]
        if len(ours) != len(retrieved["results"]):
            return None
        for line, gold in zip(ours, retrieved["results"], strict=True):
            scores = {number: score for number, _, score in gold}
            if set(scores) != set(line) or len(line) != len(gold):
                return None
            pairs = zip(line, gold, strict=True)
            gap = max([gap, *(abs(scores[mine] - score) for mine, (_, _, score) in pairs)])
    return gap if gap <= TIE else None


def classify(case: Case, answer: "RelikOutput | list[RelikOutput]") -> str:
    """Compare an answer with quirks to upstream's.

    Returns:
        "equal", "order_of_ties", or one of `REASONS`.
    """
    answers = listed(answer)
    gap = rank_gap(case, answers)
    if (
        gap is None
        or isinstance(answer, list) != case["is_list"]
        or len(answers) != len(case["outputs"])
    ):
        return "unlike"
    pairs = [(one.to_dict(), gold) for one, gold in zip(answers, case["outputs"], strict=True)]
    named = zip(answers, pairs, strict=True)
    if any(
        one.id != gold["id"] or _reader_independent(ours) != _reader_independent(gold)
        for one, (ours, gold) in named
    ):
        return "unlike"
    if all(ours[part] == gold[part] for ours, gold in pairs for part in ("spans", "triplets")):
        return "equal"
    if all(_same_but_for_order(ours, gold) for ours, gold in pairs):
        return "order_of_ties"
    if gap:
        return "candidates_tie"
    alike = all(_same_but_for_labels(ours, gold) for ours, gold in pairs)
    return "labels_of_a_place" if alike else "unlike"


def explain(ours: Output, gold: Output, *, quirky_output: Output, case: Case) -> list[str]:
    """Classify each difference between an output without quirks and upstream's.

    Spans are compared by offsets and label, triplets by relation and offsets of their ends.

    Args:
        quirky_output: The output with quirks and with NIL mentions, which upstream left out.

    Returns:
        One of `KINDS` for each span, triplet and text that differs.
    """
    rest = "unexplained"
    if "max_length" in case["kwargs"]:
        rest = "max_length"
    elif MARKER.search(gold["text"]):
        rest = "marker"
    kinds = [
        *_text_kinds(ours, gold),
        *_span_kinds(_labelled(ours), _labelled(gold), _labelled(quirky_output)),
        *_triplet_kinds(ours, gold),
    ]
    return [kind or rest for kind in kinds]


def _reader_independent(output: Output) -> tuple[Any, ...]:
    """Return the parts of an output that do not depend on the reader."""
    candidates = output.get("n_span_candidates")
    if candidates is None:
        candidates = [[len(line) for line in lines] for lines in output["candidates"]["span"]]
    return output["text"], output["tokens"], candidates


def _same_but_for_order(ours: Output, gold: Output) -> bool:
    starts = [[start for start, *_ in output["spans"]] for output in (ours, gold)]
    return starts[0] == starts[1] and all(
        sorted(ours[part]) == sorted(gold[part]) for part in ("spans", "triplets")
    )


def _same_but_for_labels(ours: Output, gold: Output) -> bool:
    """Compare triplets, but for the labels of spans that have several."""
    ambiguous = {place for place, count in _places(gold).items() if count > 1}
    if not ambiguous:
        return _same_but_for_order(ours, gold)
    # With the labels gone, two triplets may be equal but for their confidences.
    triplets = [
        {
            (_end(subject, ambiguous), relation, _end(object_, ambiguous), confidence)
            for subject, relation, object_, confidence in output["triplets"]
        }
        for output in (ours, gold)
    ]
    return sorted(ours["spans"]) == sorted(gold["spans"]) and triplets[0] == triplets[1]


def _end(span: Row, ambiguous: set[tuple[int, int]]) -> tuple[Any, ...]:
    place = _place(span)
    return (*place, None if place in ambiguous else span[2])


def _places(output: Output) -> Counter[tuple[int, int]]:
    return Counter(_place(span) for span in output["spans"])


def _place(span: Row) -> tuple[int, int]:
    return span[0], span[1]


def _labelled(output: Output) -> set[tuple[int, int, str]]:
    return {(start, end, label) for start, end, label, _ in output["spans"]}


def _overlap(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return bool(one[0] < other[1] and other[0] < one[1])


def _text_kinds(ours: Output, gold: Output) -> list[str | None]:
    kinds: list[str | None] = []
    if ours["text"] != gold["text"]:
        kinds.append("space_kept" if ours["text"] == gold["text"] + " " else None)
    if ours["tokens"] != gold["tokens"]:
        kinds.append(None)
    return kinds


def _span_kinds(
    ours: set[tuple[int, int, str]],
    gold: set[tuple[int, int, str]],
    quirky_output: set[tuple[int, int, str]],
) -> list[str | None]:
    kept, lost, new = ours & gold, gold - ours, ours - gold
    kinds: list[str | None] = []
    for start, end, _ in sorted(lost):
        if end <= start:
            kinds.append("end_before_start")
        elif any(one[:2] == (start, end) for one in kept):
            kinds.append("several_labels")
        elif any(one[:2] == (start, end) for one in new):
            kinds.append("other_label")
        else:
            kinds.append("overlap" if any(_overlap((start, end), one) for one in ours) else None)
    # A span with another label is already counted among the lost ones.
    for start, end, _ in sorted(one for one in new if not _at(one, lost)):
        if any(one[:2] == (start, end) for one in quirky_output):
            kinds.append("other_label")
        else:
            reversed_span = any(one[0] == start and one[1] <= start for one in quirky_output)
            kinds.append("end_before_start" if reversed_span else None)
    return kinds


def _at(span: tuple[int, int, str], others: Iterable[tuple[int, int, str]]) -> bool:
    return any(span[:2] == other[:2] for other in others)


def _triplet_kinds(ours: Output, gold: Output) -> list[str | None]:
    places = set(_places(ours))
    mine = {_key(triplet): triplet for triplet in ours["triplets"]}
    theirs: dict[Any, list[Row]] = {}
    for triplet in gold["triplets"]:
        theirs.setdefault(_key(triplet), []).append(triplet)
    kinds: list[str | None] = ["triplet_doubled"] * (len(gold["triplets"]) - len(theirs))
    kinds += [None] * (len(ours["triplets"]) - len(mine))
    for key, triplets in theirs.items():
        if key not in mine:
            gone = key[0] not in places or key[2] not in places
            kinds.append("triplet_without_end" if gone else None)
            continue
        best = max(confidence for *_, confidence in triplets)
        if mine[key][3] == best:
            continue
        if abs(mine[key][3] - best) <= ROUNDING:
            kinds.append("not_rounded")
        else:
            kinds.append("triplet_moved" if _moved(mine[key], gold) else None)
    kinds += [
        "triplet_moved" if _moved(triplet, gold) else None
        for key, triplet in mine.items()
        if key not in theirs
    ]
    return kinds


def _key(triplet: Row) -> tuple[tuple[int, int], str, tuple[int, int]]:
    return _place(triplet[0]), triplet[1], _place(triplet[2])


def _moved(triplet: Row, gold: Output) -> bool:
    """Tell whether upstream has a triplet between overlapping spans."""
    subject, relation, object_, confidence = triplet
    return any(
        other[1] == relation
        and _overlap(other[0], subject)
        and _overlap(other[2], object_)
        and abs(other[3] - confidence) <= ROUNDING
        for other in gold["triplets"]
    )


def count_with_quirks(relik: "Relik", cases: Sequence[Case]) -> dict[str, Any]:
    """Repeat calls with quirks.

    Returns:
        Calls by `CLASSES`, those that differ by `REASONS`, and the largest difference of scores
        between candidates in another order.
    """
    classes, reasons = Counter(dict.fromkeys(CLASSES, 0)), Counter(dict.fromkeys(REASONS, 0))
    gap = 0.0
    for case in cases:
        try:
            answer = relik(case["text"], **case["kwargs"])
        except RelikError:
            classes["both_failed" if "error" in case else "we_failed"] += 1
            continue
        if "error" in case:
            classes["upstream_failed"] += 1
            continue
        found = classify(case, answer)
        classes["differ" if found in REASONS else found] += 1
        reasons.update([found] if found in REASONS else [])
        gap = max(gap, rank_gap(case, listed(answer)) or 0.0)
    return {"calls": len(cases), **classes, "reasons": dict(reasons), "largest_gap": gap}


def count_without(relik: "Relik", quirky: "Relik", cases: Sequence[Case]) -> dict[str, Any]:
    """Repeat, without quirks, the calls that upstream answered.

    Args:
        quirky: The same pipeline with quirks.

    Returns:
        Calls, and those that return a list where upstream returns one output; outputs of both,
        equal outputs, and outputs of one side only; by `KINDS`, the outputs with such differences,
        and the spans, triplets and texts that differ.
    """
    names = ("calls", "given_as_list", "outputs", "equal", "order_of_ties", "differ")
    counts = Counter(dict.fromkeys((*names, "only_here", "only_upstream"), 0))
    outputs, items = Counter(dict.fromkeys(KINDS, 0)), Counter(dict.fromkeys(KINDS, 0))
    for case in cases:
        if "error" in case:
            continue
        answer = relik(case["text"], **case["kwargs"])
        counts["calls"] += 1
        counts["given_as_list"] += isinstance(answer, list) and not case["is_list"]
        gold = {output["id"]: output for output in case["outputs"]}
        quirky_output = {one.id: one.to_dict() for one in listed(_with_nmes(quirky, case))}
        found = {one.id: one.to_dict() for one in listed(answer)}
        counts["only_here"] += len(found.keys() - gold.keys())
        counts["only_upstream"] += len(gold.keys() - found.keys())
        for number in sorted(found.keys() & gold.keys()):
            ours = found[number]
            kinds = explain(ours, gold[number], quirky_output=quirky_output[number], case=case)
            same = all(ours[part] == gold[number][part] for part in ("spans", "triplets"))
            counts["outputs"] += 1
            counts["differ" if kinds else "equal" if same else "order_of_ties"] += 1
            items.update(kinds)
            outputs.update(set(kinds))
    return {
        **counts,
        "differences": {kind: {"outputs": outputs[kind], "items": items[kind]} for kind in KINDS},
    }


def _with_nmes(quirky: "Relik", case: Case) -> Any:
    return quirky(case["text"], **{**case["kwargs"], "remove_nmes": False})


def _sum(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            if isinstance(value, dict):
                total[name] = _sum([total.get(name, {}), value])
            elif name == "largest_gap":
                total[name] = max(total.get(name, 0.0), value)
            else:
                total[name] = total.get(name, 0) + value
    return total


def count(fixtures: Path) -> dict[str, Any]:
    """Repeat the calls of each pipeline in a folder.

    Args:
        fixtures: One folder per pipeline, and `golden/` with the answers of upstream.

    Returns:
        `with_quirks` and `without_quirks`, each by pipeline and in `all`.
    """
    from relik.upstream.dropin.relik import Relik

    counts: dict[str, dict[str, Any]] = {"with_quirks": {}, "without_quirks": {}}
    for golden in sorted(fixtures.glob("golden/*.json.gz")):
        name = golden.name.removesuffix(".json.gz")
        with gzip.open(golden, "rt", encoding="utf-8") as stream:
            cases = json.load(stream)["cases"]
        quirky = Relik.from_pretrained(fixtures / name, quirks=True)
        relik = Relik.from_pretrained(fixtures / name)
        counts["with_quirks"][name] = count_with_quirks(quirky, cases)
        counts["without_quirks"][name] = count_without(relik, quirky, cases)
    return {way: {**each, "all": _sum(each.values())} for way, each in counts.items()}


def main() -> None:
    """Count, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fixtures", type=Path, default=FIXTURES)
    print(json.dumps(count(parser.parse_args().fixtures), indent=1))


if __name__ == "__main__":
    main()
