"""Settings read from TOML: what fits, all that does not, and where it stands."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest
from annotated_types import Gt, Interval
from hypothesis import given
from hypothesis import strategies as st

from relik.errors import ConfigError
from relik.toml_settings import (
    Natural,
    PartOf,
    Share,
    describe,
    from_mapping,
    key_lines,
    open_toml,
    read_toml,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    low: Natural = 0
    high: Natural = 9

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ConfigError(f"got low {self.low} above high {self.high}: change one of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    name: str
    rate: Annotated[float, Gt(0)] = 1.0
    share: Share = 0.5
    kind: Literal["a", "b"] = "a"
    flag: bool = False
    sizes: tuple[Natural, ...] = ()
    limit: Natural | Literal["none"] | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)
    more: tuple[Inner, ...] = ()
    part: Annotated[Mapping[str, object], PartOf(Inner)] = field(default_factory=dict)


TEXT = '''name = "n"   # [not.a.table]
sizes = [
  1,
  2,
]
words.a = """
[inner]
b = 1
"""
"words".b = 'x'

[inner]
low = 3

[[more]]
low = 1
[[more]]
high = 4

[part]
high = 2
'''


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text)
    return path


def test_values_come_as_their_annotations_have_them(tmp_path: Path) -> None:
    read = read_toml(Outer, written(tmp_path, TEXT.replace("[inner]\nlow", "[inner]\n low")))
    assert read == Outer(
        name="n",
        sizes=(1, 2),
        words={"a": "[inner]\nb = 1\n", "b": "x"},
        inner=Inner(low=3),
        more=(Inner(low=1), Inner(high=4)),
        part={"high": 2},
    )
    whole = from_mapping(Outer, {"name": "n", "rate": 2}, where="here").rate
    assert (whole, type(whole)) == (2.0, float)
    for limit in (3, "none"):
        assert from_mapping(Outer, {"name": "n", "limit": limit}, where="here").limit == limit


def test_the_line_of_each_key_is_known() -> None:
    lines = key_lines(TEXT)
    assert {keys: lines[keys] for keys in lines if len(keys) < 3} == {
        ("name",): 1,
        ("sizes",): 2,
        ("sizes", 0): 2,
        ("sizes", 1): 2,
        ("words",): 6,
        ("words", "a"): 6,
        ("words", "b"): 10,
        ("inner",): 12,
        ("inner", "low"): 13,
        ("more", 0): 15,
        ("more", 1): 17,
        ("part",): 20,
        ("part", "high"): 21,
    }
    assert (lines["more", 0, "low"], lines["more", 1, "high"]) == (16, 18)


@given(
    st.lists(st.sampled_from(["a = 1", "b.c = 2", "# x", "", "'q r' = [1,", 'm = """']), max_size=0)
    | st.permutations(["a = 1", "b.c = 2", "# [x]", "", "'q r' = [1,\n2]", 'm = """\n[z]\n"""'])
)
def test_lines_do_not_depend_on_what_stands_around(rows: list[str]) -> None:
    lines = key_lines("\n".join(rows))
    at = 1
    for row in rows:
        name = {"a": ("a",), "b": ("b", "c"), "'": ("q r",), "m": ("m",)}.get(row[:1])
        assert name is None or lines[name] == at
        at += row.count("\n") + 1


def test_all_that_is_wrong_is_named(tmp_path: Path) -> None:
    text = """rate = 0
share = nan
kind = "c"
flag = 1
sizes = [1, -1, "x"]
limit = -1
words = { a = 3 }
nam = "x"
part = { high = -1, hihg = 1 }
[inner]
low = 10
[[more]]
[[more]]
low = 1.5
"""
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        read_toml(Outer, path)
    first, *rest = str(raised.value).split("\n")
    assert first == f"{path}: got 14 wrong settings"
    assert [line.strip().removeprefix(str(path)) for line in rest] == [
        ":1: rate: got 0, expected a number more than 0: change it",
        ":2: share: got nan, expected a number at least 0 and at most 1: change it",
        ":3: kind: got 'c', expected 'a' or 'b': change it",
        ":4: flag: got 1, expected true or false: change it",
        ":5: sizes[1]: got -1, expected a whole number at least 0: change it",
        ":5: sizes[2]: got 'x', expected a whole number: change it",
        ":6: limit: got -1, expected a whole number at least 0 or 'none': change it",
        ":7: words.a: got 3, expected a string: change it",
        ":8: nam: got an unknown setting, did you mean 'name'?",
        ":9: part.high: got -1, expected a whole number at least 0: change it",
        ":9: part.hihg: got an unknown setting, did you mean 'high'?",
        ":10: inner: got low 10 above high 9: change one of them",
        ":14: more[1].low: got 1.5, expected a whole number: change it",
        ": name: got nothing, expected a string: add it",
    ]


def test_one_error_stands_in_one_line() -> None:
    with pytest.raises(
        ConfigError, match=r"^here: share: got 2, expected .* at most 1: change it$"
    ):
        from_mapping(Outer, {"name": "n", "share": 2}, where="here")


def test_a_part_is_checked_setting_by_setting(tmp_path: Path) -> None:
    path = written(tmp_path, 'name = "n"\npart = { low = 99 }\n')
    assert read_toml(Outer, path).part == {"low": 99}


def test_a_setting_that_is_moved_keeps_its_line(tmp_path: Path) -> None:
    file = open_toml(written(tmp_path, 'name = "n"\n[old]\nfirst = -1\n'))
    file.move(("old", "first"), ("inner", "low"))
    file.move(("old", "second"), ("inner", "high"))
    file.values.pop("old")
    with pytest.raises(ConfigError, match=r"settings\.toml:3: inner\.low: got -1"):
        file.read(Outer)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        open_toml(tmp_path / "missing.toml")
    with pytest.raises(ConfigError, match="is not TOML"):
        open_toml(written(tmp_path, "a = \n"))


def test_an_annotation_says_what_may_stand() -> None:
    expected = {
        "name": "a string",
        "rate": "a number more than 0",
        "kind": "'a' or 'b'",
        "flag": "true or false",
        "sizes": "a list, each a whole number at least 0",
        "words": "a table",
        "inner": "a table",
    }
    from relik.toml_settings import settings_of

    found = {name: describe(kind) for name, kind in settings_of(Outer).items()}
    assert found | expected == found
    assert set(found) == {each.name for each in dataclasses.fields(Outer)}
    assert (
        describe(Annotated[int, Interval(ge=1, lt=3)])
        == "a whole number at least 1 and less than 3"
    )
