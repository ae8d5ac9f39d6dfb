"""The bundle that ships answers as it did when the golden answers were written.

A change that is meant to change answers writes them anew with `scripts/golden`.
"""

import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = Path(__file__).parent / "answers" / "golden.py"
PARIS, FRANCE = ("span", 0, 5, "Q90"), ("span", 24, 30, "Q142")
CAPITAL = ("triple", (0, 5), "P1376", (24, 30))


def _module() -> ModuleType:
    spec = spec_from_file_location("relik_golden_answers", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


golden = _module()


def test_the_bundle_answers_as_it_did(tmp_path: Path) -> None:
    expected, actual = golden.read_answers(golden.ANSWERS), golden.ask_all(tmp_path)
    found = golden.differences(expected, actual, golden.all_texts(), golden.read_thresholds())
    assert not found, "\n" + "\n".join(found)


def _differences(**changed: object) -> list[str]:
    """Compare an answer with itself but for some scores; None leaves one out."""
    text = golden.GoldenText(
        text_id="fact",
        text="Paris is the capital of France.",
        mentions=None,
        options=golden.AnnotateOptions(),
    )
    before = golden.Answer(scores={PARIS: 0.9, FRANCE: 0.8, CAPITAL: 0.5}, coverage=(31, 1, False))
    after = replace(before, **changed)
    thresholds = golden.Thresholds(span=0.35, triple=0.3)
    found: list[str] = golden.differences({"fact": before}, {"fact": after}, [text], thresholds)
    backwards = golden.differences({"fact": after}, {"fact": before}, [text], thresholds)
    assert len(found) == len(backwards)
    return found


def test_equal_answers_do_not_differ() -> None:
    assert _differences() == []
    assert _differences(scores={PARIS: 0.90009, FRANCE: 0.8, CAPITAL: 0.5}) == []


def test_a_changed_id_is_noticed() -> None:
    scores = {("span", 0, 5, "Q830149"): 0.9, FRANCE: 0.8, CAPITAL: 0.5}
    assert _differences(scores=scores) == [
        "fact: missing span 0-5 'Paris' Q90 0.9000",
        "fact: unexpected span 0-5 'Paris' Q830149 0.9000",
    ]


def test_a_changed_score_is_noticed() -> None:
    (line,) = _differences(scores={PARIS: 0.9002, FRANCE: 0.8, CAPITAL: 0.5})
    assert line == "fact: score of span 0-5 'Paris' Q90: got 0.900200, expected 0.900000"
    # Though it is near the threshold now, it was not.
    assert len(_differences(scores={PARIS: 0.36, FRANCE: 0.8, CAPITAL: 0.5})) == 1


def test_a_missing_triple_is_noticed() -> None:
    (line,) = _differences(scores={PARIS: 0.9, FRANCE: 0.8})
    assert line == "fact: missing triple 0-5 'Paris' P1376 24-30 'France' 0.5000"


def test_changed_coverage_is_noticed() -> None:
    (line,) = _differences(coverage=(31, 2, False))
    assert line == "fact: coverage: got (31, 2, False), expected (31, 1, False)"


@pytest.mark.parametrize(
    "near",
    [
        {("span", 9, 12, "Q1"): 0.369},
        {("triple", (24, 30), "P36", (0, 5)): 0.319},
        {("span", 9, 12, "Q1"): 0.36, ("triple", (0, 5), "P17", (9, 12)): 0.9},
        {("span", 9, 12, None): 0.9, ("triple", (0, 5), "P17", (9, 12)): 0.31},
    ],
    ids=["a span", "a triple", "a triple of such a span", "what such a triple leads to"],
)
def test_what_is_near_its_threshold_is_left_out(near: dict[tuple[object, ...], float]) -> None:
    assert _differences(scores={PARIS: 0.9, FRANCE: 0.8, CAPITAL: 0.5} | near) == []


def test_an_answer_that_is_missing_is_noticed() -> None:
    texts, thresholds = golden.all_texts(), golden.read_thresholds()
    expected = golden.read_answers(golden.ANSWERS)
    actual = {text_id: expected[text_id] for text_id in expected if text_id != "fact-capital"}
    (line,) = golden.differences(expected, actual, texts, thresholds)
    assert line == "fact-capital: an answer is missing"


def test_answers_are_read_as_they_were_written(tmp_path: Path) -> None:
    expected = golden.read_answers(golden.ANSWERS)
    golden.write_answers(expected, tmp_path / "answers.json")
    assert (tmp_path / "answers.json").read_bytes() == golden.ANSWERS.read_bytes()
