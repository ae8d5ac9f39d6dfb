"""Reports of `relik evaluate` as tables for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

from rich.table import Table
from rich.text import Text

from relik.evaluation.compare import differences
from relik.evaluation.taxonomy import GOLD_VERDICTS, PREDICTION_VERDICTS

Report: TypeAlias = Mapping[str, object]

ABOUT = ("bundle", "model", "kb_version", "documents", "seconds")
"""Keys of a report that identify the system and the data."""

_READINGS = ("inkb", "with_nil", "marked", "relations", "triples", "boundaries", "entities")
_MEANINGS = {"gold": GOLD_VERDICTS, "predictions": PREDICTION_VERDICTS}


def tables(report: Report) -> list[Table]:
    """Lay out a report: figures, then errors, groups and differences if it has them."""
    if "difference" not in report:
        return [_figure_table({"": report}), *_detail_tables(report, "")]
    systems = {"A": cast(Report, report["a"]), "B": cast(Report, report["b"])}
    laid = [_figure_table(systems), _difference_table(report)]
    for name, figures in systems.items():
        laid += _detail_tables(figures, f"{name}: ")
    return laid


def about(report: Report) -> list[str]:
    """Return a line per bundle with the system and the data of a report."""
    if "difference" not in report:
        return [", ".join(f"{key} {report[key]}" for key in ABOUT)]
    return [
        f"{name.upper()}: {line}" for name in "ab" for line in about(cast(Report, report[name]))
    ]


def _figure_table(systems: Mapping[str, Report]) -> Table:
    if all(isinstance(each.get("recall_at"), dict) for each in systems.values()):
        return _recall_table(systems)
    table = Table("", "Precision", "Recall", "F1", "95 %", box=None)
    macro = any(
        "macro_f1" in _rated(report, name)
        for report in systems.values()
        for name in ("triples", "relations")
    )
    if macro:
        table.add_column("Macro F1")
    for system, report in systems.items():
        for name in _READINGS:
            rated = _rated(report, name)
            if rated:
                figures = [f"{rated[key]:.3f}" for key in ("precision", "recall", "f1")]
                mean = [f"{rated['macro_f1']:.3f}"] if macro else []
                table.add_row(f"{system} {name}".strip(), *figures, _interval(rated["ci95"]), *mean)
    return table


def _rated(report: Report, name: str) -> Mapping[str, Any]:
    found = report.get(name)
    return found if isinstance(found, dict) else {}


def _recall_table(systems: Mapping[str, Report]) -> Table:
    table = Table("Candidates", "Recall", "95 %", box=None)
    for system, report in systems.items():
        intervals = cast(Mapping[str, Sequence[float]], report["ci95"])
        for cutoff, share in cast(Mapping[str, float], report["recall_at"]).items():
            table.add_row(
                f"{system} {cutoff}".strip(), f"{share:.3f}", _interval(intervals[cutoff])
            )
    return table


def _difference_table(report: Report) -> Table:
    table = _new_table("A minus B", "", "Difference", "95 %", "p")
    resamples = cast(int, report["resamples"])
    for found in differences(cast(Report, report["difference"])):
        interval = f"{found.low:+.3f} to {found.high:+.3f}"
        table.add_row(found.name, f"{found.delta:+.3f}", interval, found.p_text(resamples))
    return table


def _detail_tables(report: Report, prefix: str) -> list[Table]:
    errors = cast(Mapping[str, Mapping[str, Mapping[str, float]]], report.get("errors", {}))
    laid = [
        _error_table(f"{prefix}errors, {side}", errors[side], side) for side in _MEANINGS if errors
    ]
    groups = cast(Mapping[str, Mapping[str, Report]], report.get("breakdown", {}))
    return [*laid, *(_group_table(f"{prefix}by {kind}", rated) for kind, rated in groups.items())]


def _error_table(title: str, tallied: Mapping[str, Mapping[str, float]], side: str) -> Table:
    table = _new_table(title, "", "Count", "Share", "Meaning")
    for verdict, meaning in _MEANINGS[side].items():
        count, share = tallied[verdict]["count"], tallied[verdict]["share"]
        table.add_row(verdict.replace("_", " "), f"{count}", f"{100 * share:.1f} %", meaning)
    return table


def _group_table(title: str, rated: Mapping[str, Report]) -> Table:
    table = _new_table(title, "", "Support", "Precision", "Recall", "F1")
    for group, figures in rated.items():
        name = f"{figures['name']} ({group})" if figures.get("name") else group
        rates = [f"{figures[key]:.3f}" for key in ("precision", "recall", "f1")]
        table.add_row(_printable(name), f"{figures['support']}", *rates)
    return table


def _new_table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    for column in columns:
        table.add_column(column, justify="left" if column in ("", "Meaning", "95 %") else "right")
    return table


def _printable(name: str) -> Text:
    """Remove control characters from a name; a `Text` has no markup."""
    return Text("".join(char if char.isprintable() else "\ufffd" for char in name))


def _interval(bounds: Sequence[float]) -> str:
    return f"{bounds[0]:.3f}-{bounds[1]:.3f}"
