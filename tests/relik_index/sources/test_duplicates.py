"""Records of two sources that are one thing: found, listed, merged where somebody says so."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from typer.testing import CliRunner

from relik.errors import InputError
from relik.kb import KnowledgeBase
from relik_index import BuildOptions
from relik_index.cli import app
from relik_index.sources.duplicates import find_duplicates, merged_source, read_same

Build = Callable[..., Path]

FOOTBALL = [
    {"id": "Q1", "name": "association football", "aliases": ["football", "soccer"]},
    {"id": "Q2", "name": "American football", "aliases": ["football"], "surfaces": {"football": 9}},
    {
        "id": "wiki:Football",
        "name": "Football",
        "aliases": ["Association football", "footballer"],
        "description": "a game of two teams",
        "surfaces": {"football": 5, "footballer": 4},
        "partials": ["foot"],
    },
]


def _kb(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return path


def _same(path: Path, **pairs: str) -> Path:
    lines = (json.dumps({"id": one, "same_as": other}) for one, other in pairs.items())
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_records_that_bear_each_others_names_are_found(tmp_path: Path) -> None:
    [found] = find_duplicates(_kb(tmp_path / "kb.jsonl", FOOTBALL))
    assert (found.id, found.same_as) == ("wiki:Football", "Q1")
    assert found.names == ("Football", "association football")
    assert found.shared == ("association football", "football")


@pytest.mark.parametrize(
    "other",
    [
        {"id": "Q3", "name": "Football", "aliases": ["Association football"]},  # of one source
        {"id": "wiki:a", "name": "Football", "aliases": ["rugby"]},  # one name in common
        {"id": "wiki:a", "name": "kick", "aliases": ["Association football", "football"]},
        {"id": "wiki:a", "name": "Football"},
    ],
)
def test_others_are_not(tmp_path: Path, other: dict[str, object]) -> None:
    assert find_duplicates(_kb(tmp_path / "kb.jsonl", [*FOOTBALL[:2], other])) == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "a:", "b:"]), st.sets(st.sampled_from("vwxyz"), min_size=1)),
        max_size=8,
    )
)
def test_what_is_found_can_be_merged(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[str, set[str]]]
) -> None:
    folder = tmp_path_factory.mktemp("kb")
    records: list[dict[str, object]] = [{"id": "Q0", "name": "other"}]
    for at, (source, names) in enumerate(drawn, start=1):
        name, *aliases = sorted(names)
        records.append({"id": f"{source}Q{at}", "name": name, "aliases": aliases})
    kb = _kb(folder / "kb.jsonl", records)
    found = find_duplicates(kb)
    same = read_same(_same(folder / "same.jsonl", **{each.id: each.same_as for each in found}))
    assert len(same) == len(found)
    assert len([*merged_source(kb, same)]) == len(records) - len(found)


def test_what_is_printed_can_be_given_to_build(tmp_path: Path) -> None:
    kb = _kb(tmp_path / "kb.jsonl", FOOTBALL)
    printed = CliRunner().invoke(app, ["duplicates", str(kb)])
    assert printed.exit_code == 0, printed.output
    (tmp_path / "same.jsonl").write_text(printed.stdout)
    arguments = ["build", str(kb), str(tmp_path / "index"), "--json"]
    built = CliRunner().invoke(app, [*arguments, "--same", str(tmp_path / "same.jsonl")])
    assert built.exit_code == 0, built.output
    told = json.loads(built.stdout)
    assert (told["rows"], told["merged"]) == (2, 1)


def test_a_merged_record_has_the_names_and_counts_of_both(build: Build) -> None:
    kb = KnowledgeBase.open(build(FOOTBALL, options=BuildOptions(same={"wiki:Football": "Q1"})))
    assert kb.row_of("wiki:Football") is None
    record = kb.record(0)
    assert record.name == "association football"
    assert record.description == "a game of two teams"
    counts = {match.row: match.count for match in kb.names.lookup("football")}
    assert counts == {0: 5, 1: 9}
    assert [match.count for match in kb.names.lookup("footballer")] == [4]
    assert [match.row for match in kb.names.lookup("foot")] == [0]
    assert kb.count(0) == 9


def test_linked_text_that_has_a_merged_id_counts_for_the_record_kept(tmp_path: Path) -> None:
    kb, texts = _kb(tmp_path / "kb.jsonl", FOOTBALL), tmp_path / "texts.jsonl"
    span = [4, 10, "wiki:Football", "soccer"]
    texts.write_text("\n".join([json.dumps({"text": "See soccer.", "spans": [span]})] * 3))
    same = _same(tmp_path / "same.jsonl", **{"wiki:Football": "Q1"})
    arguments = ["build", str(kb), str(tmp_path / "index"), "--linked-text", str(texts)]
    built = CliRunner().invoke(app, [*arguments, "--same", str(same)])
    assert built.exit_code == 0, built.output
    names = KnowledgeBase.open(tmp_path / "index").names
    assert [match.count for match in names.lookup("soccer")] == [3]


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6, unique=True), st.data())
def test_every_record_stays_or_is_merged(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str], data: st.DataObject
) -> None:
    kept = data.draw(st.lists(st.sampled_from(ids), min_size=1, unique=True))
    same = {one: data.draw(st.sampled_from(kept)) for one in ids if one not in kept}
    records: list[dict[str, object]] = [
        {"id": one, "name": f"name {one}", "surfaces": {f"name {one}": 2}} for one in ids
    ]
    read = [*merged_source(_kb(tmp_path_factory.mktemp("kb") / "kb.jsonl", records), same)]
    assert [record.entity.entity_id for record in read] == [one for one in ids if one in kept]
    names = [name for r in read for name in (r.entity.name, *r.entity.aliases)]
    assert sorted(names) == sorted(f"name {one}" for one in ids)
    assert sum(record.count for record in read) == 2 * len(ids)


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0b"])
def test_names_may_have_separators_of_lines(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "same.jsonl"
    row = {"id": "a", "same_as": "b", "names": [f"x{separator}y", "z"]}
    path.write_text(json.dumps(row, ensure_ascii=False) + "\r\n", encoding="utf-8", newline="")
    assert read_same(path) == {"a": "b"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('{"id": "a"}', "expected .*same_as"),
        ('{"id": "a", "same_as": 3}', "two ids"),
        ("[1]", "two ids"),
        ("{", "not JSON"),
        ('{"id": "a", "same_as": "b"}\n{"id": "a", "same_as": "c"}', "line 2.*again"),
        ('{"id": "a", "same_as": "b"}\n{"id": "b", "same_as": "c"}', "both as id and as same_as"),
        ('{"id": "a", "same_as": "a"}', "both as id and as same_as"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, lines: str, message: str) -> None:
    path = tmp_path / "same.jsonl"
    path.write_text(lines)
    with pytest.raises(InputError, match=message):
        read_same(path)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing"):
        read_same(tmp_path / "missing.jsonl")
    (tmp_path / "latin").write_bytes(b'{"id": "\xe9", "same_as": "b"}')
    with pytest.raises(InputError, match="latin"):
        read_same(tmp_path / "latin")
    (tmp_path / "empty").write_text("\n\n")
    assert read_same(tmp_path / "empty") == {}


def test_an_id_that_is_no_record_is_refused(
    build: Build, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    with pytest.raises(InputError, match="Q7"):
        build(FOOTBALL, options=BuildOptions(same={"Q7": "Q1"}))
    assert not (tmp_path / "index").exists()
