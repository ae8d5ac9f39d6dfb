"""The parts of a reader's recipe that say what it reads: candidates in training and in serving."""

import dataclasses
from dataclasses import dataclass, field

from relik.config import PipelineConfig, WindowConfig


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

    entity_candidates: tuple[int, ...] = (8, 16, 32)
    relation_candidates: tuple[int, ...] = (8, 16)
    gold_drop: float = 0.05
    gold_insert: float = 0.7
    shuffle: float = 0.15
    given: bool = False
    case_noise: float = 0.05
    typos: float = 0.0
    typo_words: float = 0.1
    pretokenised: bool = False
    wrong_spans: int = 0
    wrong_pairs: float = 0.0
    unlabelled_weight: float = 0.2
    max_tokens: int = 384
    seed: int = 13


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

    shorten: float = 0.0
    entity_swap: float = 0.0
    teams: int = 0
    sports_pages: int = 0
    life_pages: int = 0
    place_pages: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Curriculum:
    """Easy windows first (`relik_training.reader.curriculum`).

    Args:
        share: Share of the steps until all windows take part, 0..1; 0 for none.
        start: Share of the windows, the easiest, that the first steps draw from, 0..1.
    """

    share: float = 0.0
    start: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStopping:
    """When a run ends before its last step; the weights with the least loss are kept.

    Args:
        patience: Measurements without a lower loss after which the run ends; 0 for never.
        steps: Steps between two measurements; a multiple of ten, so that they are logged.
        share: Share of the documents that are kept out of training to measure on, 0..1.
    """

    patience: int = 0
    steps: int = 200
    share: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What the pipeline.toml of the bundle says beside what is fitted.

    Args:
        windows: How texts are split.
        entity_top_k: Entity candidates per window.
        relation_top_k: Relation candidates per window.
        prior_weight: Weight of the log prior of surface forms.
        nil_weight: Added to the logit of NIL: a set whose mentions often have no link, as
            KnowledgeNet's, makes it likelier than it is elsewhere.
        unnamed_nil_weight: Added to it where no candidate has the mention as a name.
        term_weight: Added to the log-odds of mentions that have a name of a list of terms.
        unnamed_weight: Taken over such a list from the log-odds of mentions that have none.
        whole_names: Whether the whole name of a record around a mention is read as one.
        skip_initials: Whether articles and initials are no mentions by themselves.
        skip_titles: Whether titles before names are none.
        least_candidate: Score below which candidates are not read, but for the first eight.
        look_again: Whether names without candidates are looked up once they were found.
        places_apart: Whether "Dearborn, Michigan" is two mentions.
        join_overlaps: Whether spans that overlap and mean the same count together.
        max_spans: Most spans of a window that are paired for relations.
        relations_per_pair: Most relations of one subject and one object; 0 for all.
        apart_weight: Taken from the log-odds of triples between two sentences.
        adjective_scope: Whether adjectives of places are related to what they tell of alone.
        functional: Ids of relations of which a subject has one object.
        inverse_functional: Ids of relations of which an object has one subject.
    """

    windows: WindowConfig = field(default_factory=WindowConfig)
    entity_top_k: int = 32
    relation_top_k: int = 16
    prior_weight: float = 0.8
    nil_weight: float = 0.0
    unnamed_nil_weight: float = 0.0
    term_weight: float = 0.0
    unnamed_weight: float = 0.0
    whole_names: bool = False
    skip_initials: bool = False
    skip_titles: bool = False
    least_candidate: float = 0.0
    look_again: bool = False
    places_apart: bool = False
    join_overlaps: bool = False
    max_spans: int = 32
    relations_per_pair: int = 0
    apart_weight: float = 0.0
    adjective_scope: bool = False
    functional: tuple[str, ...] = ()
    inverse_functional: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.applied_to(
            PipelineConfig()
        )  # refuses what no bundle can have before hours of training

    def applied_to(self, settings: PipelineConfig) -> PipelineConfig:
        """Put these in the place of the settings of the base.

        Args:
            settings: Settings of the base.

        Returns:
            Settings of the bundle, not yet calibrated.
        """
        return dataclasses.replace(
            settings,
            windows=self.windows,
            retriever=dataclasses.replace(
                settings.retriever,
                entity_top_k=self.entity_top_k,
                relation_top_k=self.relation_top_k,
            ),
            reader=dataclasses.replace(
                settings.reader,
                least_candidate=self.least_candidate,
                look_again=self.look_again,
                max_spans=self.max_spans,
                relations_per_pair=self.relations_per_pair,
            ),
            rules=dataclasses.replace(
                settings.rules,
                prior_weight=self.prior_weight,
                nil_weight=self.nil_weight,
                unnamed_nil_weight=self.unnamed_nil_weight,
                term_weight=self.term_weight,
                unnamed_weight=self.unnamed_weight,
                whole_names=self.whole_names,
                skip_initials=self.skip_initials,
                skip_titles=self.skip_titles,
                places_apart=self.places_apart,
                join_overlaps=self.join_overlaps,
                apart_weight=self.apart_weight,
                adjective_scope=self.adjective_scope,
                functional=self.functional,
                inverse_functional=self.inverse_functional,
            ),
        )
