"""The parts of a reader's recipe: candidates, made-up windows, curriculum, early stopping."""

from dataclasses import dataclass

from relik.toml_settings import Natural, Positive, Share, Weight


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSampling:
    """How candidates are drawn for training.

    Args:
        entity_candidates: Entity candidates per window; where several numbers are given, one
            is drawn for each batch, so that every marker is trained at little cost.
        relation_candidates: The same for relations, in windows that have relation labels.
        gold_drop: Share of gold entities taken out of the candidates, so that NIL is learned.
        gold_insert: Share of gold entities that the retriever missed and are put in.
        shuffle: Share of windows whose candidates lose their order.
        given: Relations keep the order in which they are proposed, as in serving; else it is
            drawn, so that gold ones are not the first.
        case_noise: Share of windows read as all capitals, and again as all lower case.
        typos: Share of windows that are mistyped.
        typo_words: Share of the words of such a window that are, where they have four letters.
        pretokenised: Texts come in words with white space between; mentions consist of them.
        wrong_spans: Spans drawn for each window that are no mentions, to be linked to nothing:
            for closed schemas, where nothing is what is no mention.
        wrong_pairs: Weight of pairs of one of these spans and a mention, between which no relation
            holds; beside 1 of pairs of mentions.
        unlabelled_weight: Weight of "no relation" where a pair may have one nobody labelled.
        max_tokens: Most tokens of a row.
        seed: Seed of sampling, with the step.
    """

    entity_candidates: tuple[Positive, ...] = (8, 16, 32)
    relation_candidates: tuple[Natural, ...] = (8, 16)
    gold_drop: Share = 0.05
    gold_insert: Share = 0.7
    shuffle: Share = 0.15
    given: bool = False
    case_noise: Share = 0.05
    typos: Share = 0.0
    typo_words: Share = 0.1
    pretokenised: bool = False
    wrong_spans: Natural = 0
    wrong_pairs: Weight = 0.0
    unlabelled_weight: Weight = 0.2
    max_tokens: Positive = 384
    seed: Natural = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Windows that are told again with other names, beside those that there are.

    Args:
        shorten: Share of windows that get a copy whose full names are shorter: the place or the
            nickname of a team, the surname of a person, 0..1. Windows without such a name get none.
        entity_swap: Share of windows that get a copy where other entities of the same kind, and
            their names, stand in the place of some, 0..1.
        teams: Copies of each window that names a team, in which teams, half of them others than
            before, are called by their towns and countries, as results are written.
        sports_pages: Windows of results, tables and match reports, made from the names of the
            knowledge base (`relik_training.augment.sports_pages`).
        life_pages: Windows of articles about people, whose sentences are about the one that the
            first one names (`relik_training.augment.life_pages`).
        place_pages: Windows of articles about places, which lie in one another
            (`relik_training.augment.place_pages`).
    """

    shorten: Share = 0.0
    entity_swap: Share = 0.0
    teams: Natural = 0
    sports_pages: Natural = 0
    life_pages: Natural = 0
    place_pages: Natural = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Curriculum:
    """Easy windows first (`relik_training.reader.curriculum`).

    Args:
        share: Share of the steps until all windows take part, 0..1; 0 for none.
        start: Share of the windows, the easiest, that the first steps draw from, 0..1.
    """

    share: Share = 0.0
    start: Share = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStopping:
    """When a run ends before its last step; the weights with the least loss are kept.

    Args:
        patience: Measurements without a lower loss after which the run ends; 0 for never.
        steps: Steps between two measurements; a multiple of ten, so that they are logged.
        share: Share of the documents that are kept out of training to measure on, 0..1.
    """

    patience: Natural = 0
    steps: Positive = 200
    share: Share = 0.02
