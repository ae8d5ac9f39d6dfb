import io

from rich.console import Console

from relik.commands.report_tables import about, tables

RATED = {"precision": 0.75, "recall": 0.5, "f1": 0.6, "ci95": [0.5, 0.7]}
MADE_BY = {"bundle": "b", "model": "m", "kb_version": "v", "documents": 2, "seconds": 1.5}
REPORT: dict[str, object] = {"inkb": RATED, "with_nil": RATED, **MADE_BY}
NONE = {"count": 0, "share": 0.0}


def printed(report: dict[str, object]) -> str:
    out = io.StringIO()
    console = Console(file=out, width=120)
    for table in tables(report):
        console.print(table)
    return out.getvalue()


def errors() -> dict[str, object]:
    from relik.evaluation.taxonomy import GOLD_VERDICTS, PREDICTION_VERDICTS

    return {
        "top_k": 32,
        "threshold": 0.5,
        "gold": dict.fromkeys(GOLD_VERDICTS, NONE) | {"right": {"count": 3, "share": 0.75}},
        "predictions": dict.fromkeys(PREDICTION_VERDICTS, NONE),
    }


def test_figures_are_laid_out_with_their_intervals() -> None:
    text = printed(REPORT)
    assert text.count("0.750      0.500   0.600  0.500-0.700") == 2
    assert about(REPORT) == ["bundle b, model m, kb_version v, documents 2, seconds 1.5"]


def test_recall_is_laid_out_by_number_of_candidates() -> None:
    recall: dict[str, object] = {"recall_at": {"1": 0.25}, "ci95": {"1": [0.2, 0.3]}, **MADE_BY}
    assert "0.250   0.200-0.300" in printed(recall)


def test_errors_and_groups_follow_where_there_are_any() -> None:
    group = {"support": 4, "precision": 0.5, "recall": 0.25, "f1": 0.3333}
    breakdown = {
        "types": {"place": group},
        "relations": {
            "P1": {"name": "[red]born\x1b[31m in", **group},
            "Kill": {"name": None, **group},
        },
    }
    text = printed(REPORT | {"errors": errors(), "breakdown": breakdown})
    assert "errors, gold" in text
    assert "75.0 %" in text
    assert "span not found" in text
    assert "by types" in text
    assert "\n Kill " in text
    assert "[red]born\ufffd[31m in (P1)" in text
    assert "errors" not in printed(REPORT)


def test_two_bundles_are_laid_out_with_their_difference() -> None:
    found = {"delta": -0.125, "ci95": [-0.25, 0.0], "p": 0.0}
    report: dict[str, object] = {
        "a": REPORT | {"errors": errors()},
        "b": REPORT,
        "difference": {"f1": found, "with_nil": {"f1": found | {"p": 0.75}}},
        "resamples": 1000,
        "seed": 0,
    }
    text = printed(report)
    assert "A inkb" in text
    assert "B with_nil" in text
    assert "-0.125  -0.250 to +0.000  < 0.002" in text
    (line,) = (line for line in text.splitlines() if "with_nil f1" in line)
    assert line.split()[-1] == "0.750"
    assert "A: errors, gold" in text
    assert "B: errors" not in text
    assert [line[:2] for line in about(report)] == ["A:", "B:"]
