"""One answer to what a surface form may mean, whoever asks."""

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.names.language import open_language
from relik.names.normalise import normalise
from relik.names.resolve import NamePolicy, resolve, resolve_key
from relik.names.trie import CASED, PARTIAL, PRIMARY, Kind, NameMatch, with_kind
from relik.names.variants import variant_key
from relik.reader.rules.priors import log_priors
from relik.retriever.lexical import match_names
from relik.retriever.mention_candidates import PER_MENTION, bearers_of
from relik.testing import FakeKnowledgeBase, FakeNames
from relik.types import Entity, Span, Window

ENTITIES = [
    Entity(entity_id="palestine", name="Palestine"),
    Entity(entity_id="palestinians", name="Palestinians", aliases=("Palestinian",)),
    Entity(entity_id="france", name="France", aliases=("République française",)),
    Entity(entity_id="joules", name="Joules"),
    Entity(entity_id="joule", name="joule"),
    Entity(entity_id="paris", name="Paris"),
    Entity(entity_id="hilton", name="Paris Hilton", aliases=("Paris",)),
    Entity(entity_id="epilepsy", name="Epilepsy"),
]
PALESTINE, PALESTINIANS, FRANCE, JOULES, JOULE, PARIS, HILTON, EPILEPSY = range(len(ENTITIES))
NAMES = FakeKnowledgeBase(ENTITIES, counts={("Palestine", "palestine"): 90})
TERMS = FakeKnowledgeBase(ENTITIES, any_case=True)
GERMAN = FakeKnowledgeBase(ENTITIES, language="de")

SURFACES = st.sampled_from(
    [
        *("Palestine", "Palestinian", "Palestinians", "palestinian", "France", "french", "FRENCH"),
        *("Joules", "joules", "joule", "Paris", "paris", "parisian", "Parisians", "Hilton"),
        *("epileptic", "Epileptics", "Atlantis", "7"),
    ]
)


def kinds(kb: FakeKnowledgeBase, surface: str) -> dict[int, Kind]:
    return {sense.row: sense.kind for sense in resolve(kb, surface)}


@given(SURFACES, st.sampled_from([NAMES, TERMS, GERMAN]))
def test_shares_sum_to_one_and_the_likeliest_come_first(
    surface: str, kb: FakeKnowledgeBase
) -> None:
    senses = resolve(kb, surface)
    assert not senses or math.isclose(sum(sense.share for sense in senses), 1.0)
    assert list(senses) == sorted(senses, key=lambda sense: (-sense.share, sense.row))
    assert len({sense.row for sense in senses}) == len(senses)
    assert all(0 < sense.share <= 1 for sense in senses)


@given(SURFACES, st.sampled_from([NAMES, TERMS, GERMAN]))
def test_candidates_given_mentions_and_priors_have_one_answer(
    surface: str, kb: FakeKnowledgeBase
) -> None:
    senses = resolve(kb, surface)
    # Nothing in this window has a capital, unless the surface form has.
    window = Window(doc_id="d", index=0, span=Span(0, len(surface)), text=surface)
    (hits,) = match_names(kb, [window])
    named = not surface.isdecimal()
    assert {hit.row for hit in hits} == ({sense.row for sense in senses} if named else set())
    ids = [kb.entity_id(sense.row) for sense in senses[:PER_MENTION]]
    assert bearers_of(surface, kb) == ids  # type: ignore[arg-type]  # a fake of the same methods
    priors = log_priors(kb, surface, [sense.row for sense in senses]).of_rows
    assert priors.tolist() == pytest.approx([math.log(sense.share) for sense in senses], abs=1e-5)


@given(SURFACES, st.sampled_from(["NFC", "NFD"]))
def test_forms_of_unicode_and_space_do_not_matter(surface: str, form: str) -> None:
    surface = surface.replace("e", "é")
    assert resolve(NAMES, f" {unicodedata.normalize(form, surface)}\n") == resolve(NAMES, surface)


def test_case_folds_and_says_so() -> None:
    assert resolve(NAMES, "FRANCE") == resolve(NAMES, "France")
    assert kinds(NAMES, "France") == {FRANCE: Kind.EXACT}
    assert kinds(NAMES, "france") == {FRANCE: Kind.FOLDED}
    assert kinds(NAMES, "re\u0301publique franc\u0327aise") == {FRANCE: Kind.FOLDED}
    assert resolve(NAMES, "france")[0].whole


def test_an_alias_without_a_kind_is_of_an_unknown_one() -> None:
    assert kinds(NAMES, "Paris") == {PARIS: Kind.EXACT, HILTON: Kind.UNKNOWN}


def test_kinds_of_the_index_are_given() -> None:
    kb = FakeKnowledgeBase(ENTITIES)
    flags = PARTIAL | CASED
    kb.names = FakeNames(
        {
            "spd": [NameMatch(1, 0, with_kind(flags, Kind.ACRONYM)), NameMatch(2, 0, flags)],
            "swimmer": [NameMatch(3, 0, with_kind(PARTIAL, Kind.INFLECTED))],
            "zurich": [NameMatch(4, 0, with_kind(flags, Kind.FOLDED))],
        }
    )
    assert kinds(kb, "SPD") == {1: Kind.ACRONYM, 2: Kind.PARTIAL}
    assert kinds(kb, "swimmer") == {3: Kind.INFLECTED}
    assert kinds(kb, "Zurich") == {4: Kind.FOLDED}
    assert not any(sense.whole for form in ("SPD", "swimmer") for sense in resolve(kb, form))


def test_a_plural_is_an_inflected_form_of_its_name() -> None:
    assert kinds(NAMES, "joules") == {JOULES: Kind.FOLDED, JOULE: Kind.INFLECTED}
    assert kinds(NAMES, "Joules") == {JOULES: Kind.EXACT}


def test_an_adjective_means_its_place_beside_what_is_called_so() -> None:
    senses = resolve(NAMES, "Palestinian")
    assert kinds(NAMES, "Palestinian") == {
        PALESTINE: Kind.INFLECTED,
        PALESTINIANS: Kind.UNKNOWN,
    }
    assert senses[0].row == PALESTINE
    assert [sense.derived for sense in senses] == [True, False]
    assert [sense.form for sense in senses] == ["palestine", "palestinian"]


def test_an_adjective_in_lower_case_means_no_place() -> None:
    assert resolve(NAMES, "parisian") == ()
    assert set(kinds(NAMES, "palestinian")) == {PALESTINIANS}


@given(SURFACES, st.sampled_from([NAMES, TERMS, GERMAN]))
def test_a_name_is_shared_out_among_whole_names_and_among_parts(
    surface: str, kb: FakeKnowledgeBase
) -> None:
    senses = [sense for sense in resolve(kb, surface) if sense.whole]
    assert not senses or math.isclose(sum(sense.share_of_form for sense in senses), 1.0)


def test_adjectives_of_terms_are_for_terms_alone() -> None:
    assert kinds(TERMS, "epileptic") == {EPILEPSY: Kind.INFLECTED}
    assert resolve(NAMES, "epileptic") == ()


def test_a_term_in_other_words_is_folded() -> None:
    kb = FakeKnowledgeBase(ENTITIES, any_case=True)
    kb.names = FakeNames({variant_key(("breast", "cancer")): [NameMatch(3, 1, PRIMARY)]})
    (sense,) = resolve(kb, "cancers of the breast")
    assert (sense.row, sense.share, sense.kind, sense.whole) == (3, 1.0, Kind.FOLDED, False)
    assert resolve_key(kb, "cancers of the breast", lower=True, reworded=False) == ()


def test_what_is_formed_is_left_out_where_it_is_not_asked_for() -> None:
    (only,) = resolve_key(NAMES, "palestinians", lower=False, formed=False)
    assert (only.row, only.share, only.whole) == (PALESTINIANS, 1.0, True)
    assert len(resolve_key(NAMES, "palestinians", lower=False)) == 2


@pytest.mark.parametrize("surface", ["joules", "Palestinian", "French", "parisian", "Parisians"])
def test_another_language_has_no_english_rules(surface: str) -> None:
    assert all(sense.whole for sense in resolve(GERMAN, surface))


def test_a_name_that_is_its_own_adjective_is_told_apart_from_it() -> None:
    kb = FakeKnowledgeBase([Entity(entity_id="Q183", name="Germany", aliases=("German",))])
    (sense,) = resolve(kb, "German")
    assert (sense.kind, sense.derived, sense.preferred) == (Kind.UNKNOWN, True, False)
    (named,) = resolve(kb, "Germany")
    assert (named.derived, named.preferred) == (False, True)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("en", False, False, False)),
        ({"any_case": True, "language": "de"}, ("de", True, False, False)),
        ({"counted": True, "names_format": 2}, ("en", False, True, True)),
        ({"language": 7, "names_format": "2"}, ("en", False, False, False)),
    ],
)
def test_the_policy_comes_from_the_manifest(
    fields: dict[str, object], expected: tuple[str, bool, bool, bool]
) -> None:
    policy = NamePolicy.from_manifest(fields)
    found = policy.language.code, policy.terms, policy.counted, policy.demonyms
    assert found == expected


def test_demonyms_that_are_names_of_the_index_are_not_guessed() -> None:
    kb = FakeKnowledgeBase([Entity(entity_id="Q183", name="Germany")])
    assert [sense.row for sense in resolve(kb, "Germans")] == [0]
    kb.policy = NamePolicy(language=open_language("en"), demonyms=True)
    assert resolve(kb, "Germans") == ()
    assert normalise("Germans") == "germans"
