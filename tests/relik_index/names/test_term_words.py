"""What the names of a list tell of their words."""

from relik.names.language import open_language
from relik.names.trie import PARTIAL, PRIMARY, NameMatch
from relik.names.variants import HEAD, KIND, SWAP, is_name, reduced, variant_key
from relik_index.names.term_words import TermWords

ENGLISH = open_language("en")


def told(*records: tuple[str, ...]) -> dict[str, NameMatch]:
    words = TermWords(ENGLISH)
    for row, names in enumerate(records):
        words.with_variants({name: NameMatch(row, 0, 0) for name in names})
    return words.words()


def test_names_are_kept_and_their_variants_added() -> None:
    names = {
        "cancer of breast": NameMatch(3, 0, 0),
        "breast cancer": NameMatch(3, 0, PRIMARY),
        "cancer": NameMatch(3, 0, PARTIAL),
    }
    found = TermWords(ENGLISH).with_variants(names)
    assert {key: match for key, match in found.items() if is_name(key)} == names
    variants = {key: match for key, match in found.items() if not is_name(key)}
    assert variants == {variant_key(("breast", "cancer")): NameMatch(3, 0, PRIMARY)}


def test_words_that_many_records_are_called_by_alike_mean_the_same() -> None:
    parts = ("cyst", "stone", "fever", "ache", "pain")
    keys = told(*((f"kidney {part}", f"renal {part}") for part in parts))
    assert keys == {
        f"{SWAP}kidney renal": NameMatch(0, 5, 0),
        f"{SWAP}renal kidney": NameMatch(0, 5, 0),
    }
    assert not told(*((f"kidney {part}", f"renal {part}") for part in parts[:4]))


def test_words_that_part_more_records_than_they_join_do_not() -> None:
    same = [(f"{part} i", f"{part} ii") for part in ("a1", "b1", "c1", "d1", "e1")]
    apart = [(f"x{n} {kind}",) for n in range(3) for kind in ("i", "ii")]
    assert told(*same)
    assert not told(*same, *apart)


def test_words_that_only_join_are_never_swapped() -> None:
    parts = ("cyst", "stone", "fever", "ache", "pain")
    assert not told(*((f"{part} with ataxia", f"{part} syndrome ataxia") for part in parts))


def test_a_word_that_ends_many_names_heads_them_and_one_of_very_many_is_a_kind() -> None:
    rare = [(f"name{n} fever",) for n in range(29)]
    several = [(f"a{n} cancers",) for n in range(30)]
    often = [(f"word{n} diseases",) for n in range(100)]
    numbers = [(f"thing{n} 1",) for n in range(200)]
    assert told(*rare, *several, *often, *numbers) == {
        KIND + reduced("disease", ENGLISH): NameMatch(0, 100, 0),
        HEAD + reduced("disease", ENGLISH): NameMatch(0, 100, 0),
        HEAD + "cancer": NameMatch(0, 30, 0),
    }
