"""Copies of windows call things otherwise and keep what is said of them."""

from relik.types import Span
from relik_training.augment.augmentation import augmented
from relik_training.augment.other_names import OtherNames
from relik_training.data.examples import Example
from relik_training.data.knowledge_records import Records
from relik_training.data.statements import Mention
from relik_training.recipes.reader_settings import Augmentation

_SPORT = "basketball team of the league"


def _team(number: int, town: str, nickname: str) -> dict[str, object]:
    name = f"{town} {nickname}"
    parts = [town, nickname]
    types = ["organisation"]
    key = f"T{number}"
    return {"id": key, "name": name, "partials": parts, "types": types, "description": _SPORT}


def _town(number: int, name: str) -> dict[str, object]:
    return {"id": f"C{number}", "name": name, "types": ["place"]}


def _actor(number: int) -> dict[str, object]:
    given, family = f"Given{chr(97 + number)}", f"Family{chr(97 + number)}"
    return {
        "id": f"P{number}",
        "name": f"{given} {family}",
        "types": ["person"],
        "description": "actor",
        "partials": [family],
    }


_TOWNS = [f"Town{chr(97 + i)}" for i in range(24)]
_ROWS: list[dict[str, object]] = [
    *(_team(i, town, f"Nick{chr(97 + i)}") for i, town in enumerate(_TOWNS)),
    *(_town(i, town) for i, town in enumerate(_TOWNS)),
    *(_actor(i) for i in range(24)),
    {"id": "U", "name": "Soviet Union", "types": ["place"], "surfaces": {"Soviet": 9, "the": 9}},
]
_NAMES = OtherNames(_ROWS, Records(_ROWS))
_TEXT = "Last night the Towna Nicka beat the Townb Nickb, said Givena Familya. Familya was glad."


def _example(number: int = 0) -> Example:
    def mention(name: str, entity_id: str, after: int = 0) -> Mention:
        at = _TEXT.index(name, after)
        return Mention(span=Span(at, at + len(name)), entity_id=entity_id, group=entity_id)

    return Example(
        doc_id=f"d{number}",
        index=0,
        text=_TEXT,
        mentions=(
            mention("Towna Nicka", "T0"),
            mention("Townb Nickb", "T1"),
            mention("Givena Familya", "P0"),
            mention("Familya", "P0", _TEXT.index(".")),
        ),
        triples=((0, "beat", 1),),
        unknown=(),
        relations="some",
    )


def _copies(**settings: float) -> list[Example]:
    examples = [_example(number) for number in range(60)]
    made = augmented(examples, _NAMES, Augmentation(**settings), seed=3)  # type: ignore[arg-type]
    assert made[:60] == examples
    return made[60:]


def _surfaces(example: Example) -> list[str]:
    return [example.text[m.span.start : m.span.end] for m in example.mentions]


def test_shorter_copies_name_the_same_things_by_parts_of_their_names() -> None:
    copies = _copies(shorten=1.0)
    assert len(copies) == 60
    seen: set[str] = set()
    for copy in copies:
        assert [m.entity_id for m in copy.mentions] == ["T0", "T1", "P0", "P0"]
        seen.update(_surfaces(copy))
        for team in ("Towna", "Townb"):
            # Nobody says "the Chicago"; the place goes without.
            assert f"the {team}" not in copy.text or f"the {team} Nick" in copy.text
    assert {"Towna", "Nicka", "Towna Nicka", "Familya", "Givena Familya"} <= seen


def test_swapped_copies_have_others_of_the_same_kind_and_the_same_triples() -> None:
    copies = _copies(entity_swap=1.0)
    assert len(copies) == 60
    swapped = 0
    for copy in copies:
        assert copy.triples == ((0, "beat", 1),)
        ids = [m.entity_id or "" for m in copy.mentions]
        assert [key[0] for key in ids] == ["T", "T", "P", "P"]
        assert ids[2] == ids[3]
        assert len(set(ids)) == 3
        full = [_NAMES.name(key) for key in ids]
        assert _surfaces(copy) == [*full[:3], full[3].split()[1]]
        swapped += ids != ["T0", "T1", "P0", "P0"]
    assert swapped == 60


def test_copies_of_team_windows_call_teams_by_their_towns() -> None:
    copies = _copies(teams=3)
    assert len(copies) == 180
    others = 0
    for copy in copies:
        for team, surface in list(zip(copy.mentions, _surfaces(copy), strict=True))[:2]:
            assert surface in _NAMES.places(team.entity_id or "")
            others += team.entity_id not in ("T0", "T1")
        assert copy.text.startswith("Last night Town")
        assert _surfaces(copy)[2:] == ["Givena Familya", "Familya"]
    assert 100 < others < 260


def test_the_share_of_windows_with_a_copy_is_as_asked_and_each_is_a_document_of_its_own() -> None:
    copies = _copies(shorten=0.3, entity_swap=0.5)
    assert 8 <= sum("shorten" in copy.doc_id for copy in copies) <= 28
    assert 18 <= sum("swap" in copy.doc_id for copy in copies) <= 42
    assert len({copy.doc_id for copy in copies}) == len(copies)
    assert copies == _copies(shorten=0.3, entity_swap=0.5)
    assert _copies() == []


def test_forms_are_whole_words_of_what_they_stand_for() -> None:
    assert _NAMES.shorter("U", "Soviet Union") == ("Soviet",)
    assert _NAMES.shorter("U", "Soviet") == ()
    assert _NAMES.shorter("P0", "Givena Familya") == ("Familya",)
    assert _NAMES.shorter("unknown", "Some Thing") == ()


def test_adjectives_and_what_is_not_known_are_not_swapped() -> None:
    text = "Soviet Familyx"
    mentions = (
        Mention(span=Span(0, 6), entity_id="U"),
        Mention(span=Span(7, 14), entity_id="unknown"),
    )
    example = Example(
        doc_id="d",
        index=0,
        text=text,
        mentions=mentions,
        triples=(),
        unknown=(),
        relations="none",
    )
    made = augmented([example], _NAMES, Augmentation(entity_swap=1.0, teams=2), seed=1)
    assert made == [example]
