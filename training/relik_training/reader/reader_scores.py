"""F1 of a reader on development texts while it is being trained, read as it will serve."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from tokenizers import Tokenizer

from relik.backends.torch_backend import TorchReader
from relik.backends.word_embeddings import WordEmbeddings
from relik.config import CalibrationConfig, PipelineConfig
from relik.pipeline import Pipeline
from relik.reader.inputs import MarkerLayout
from relik.reader.reader import ReaderParts, TransformerReader
from relik.retriever.window_retriever import WindowRetriever
from relik.types import AnnotateOptions, Annotation, Window
from relik_training.data.candidates import CandidateSource
from relik_training.data.examples import Example
from relik_training.reader.calibration import judge_spans, judge_triples
from relik_training.reader.reader_module import ReaderModule
from relik_training.run.best_weights import DEV_F1, Measure

# Least raw score of what is judged.
_LEAST = 0.02
_NO_RELATION = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What stands around a reader where it serves.

    Args:
        source: Knowledge and its retriever.
        tokenizer: Subwords.
        layout: Marker ids.
        embeddings: The table that the reader is trained on.
        config: Settings of the bundle.
        typed: Ends of a triple have to be linked rightly too, and texts come in words: for closed
            schemas.
        pretokenised: Texts come in words with white space between.
    """

    source: CandidateSource
    tokenizer: Tokenizer
    layout: MarkerLayout
    embeddings: WordEmbeddings
    config: PipelineConfig
    typed: bool = False
    pretokenised: bool = False

    def pipeline(self, module: ReaderModule) -> Pipeline:
        """Put the reader that is being trained, as it is now, into a pipeline."""
        model = module.model
        config = replace(self.config, calibration=CalibrationConfig())
        reader = TransformerReader(
            ReaderParts(
                backend=TorchReader(model=model, device=module.device),
                embeddings=self.embeddings,
                markers=model.markers.detach().float().cpu().numpy(),
                tokenizer=self.tokenizer,
                layout=self.layout,
            ),
            config,
        )
        return Pipeline(self.source.retriever, reader, config, self.source.view)


def open_reader_f1(
    module: ReaderModule, examples: Sequence[Example], served: Served, *, most: int
) -> Measure:
    """Prepare to measure a reader: candidates do not depend on it, and are found once.

    Args:
        module: The reader that is being trained.
        examples: Development texts, each of them whole.
        served: What stands around the reader.
        most: Most windows that are read; documents are drawn until there are so many.

    Returns:
        Measures `dev_entity_f1`, `dev_relation_f1`, each at its best threshold, and their mean
        `dev_f1`; what is not annotated does not count.
    """
    options = AnnotateOptions(
        threshold=_LEAST,
        relation_threshold=_LEAST,
        nil=not served.typed,
        pretokenised=served.pretokenised,
    )
    chosen = _drawn(served.pipeline(module), examples, most)
    flat = [window for _, windows in chosen for window in windows]
    candidates = served.pipeline(module).retrieve(flat, options=options)
    # The encoder is not needed again, and goes.
    retriever = WindowRetriever(None, served.config.retriever)
    reading = replace(served, source=replace(served.source, retriever=retriever))

    def measure() -> dict[str, float]:
        pipeline = reading.pipeline(module)
        read = iter(pipeline.read(flat, candidates, options=options))
        found = []
        for example, windows in chosen:
            parts = [next(read) for _ in windows]
            found.append((example, pipeline.merge(example.document, parts, options=options)))
        return _figures(found, typed=reading.typed)

    return measure


def best_f1(judged: Sequence[tuple[float, bool]], n_gold: int) -> tuple[float, float]:
    """Give the best F1 over all thresholds, 0..1, and the score that has it.

    Args:
        judged: Score, and whether it is right, of each prediction.
        n_gold: Number of right answers.
    """
    if not judged or not n_gold:
        return 0.0, 1.0
    scores, right = (np.array(values) for values in zip(*sorted(judged, reverse=True), strict=True))
    kept = np.arange(1, len(scores) + 1)
    curve = 2 * np.cumsum(right) / (kept + n_gold)
    # Of equal scores all are kept or none.
    curve[:-1][scores[:-1] == scores[1:]] = 0.0
    best = int(curve.argmax())
    return float(curve[best]), float(scores[best])


def _drawn(
    pipeline: Pipeline, examples: Sequence[Example], most: int
) -> list[tuple[Example, list[Window]]]:
    """Draw documents that have at most so many windows together; one in any case."""
    chosen: list[tuple[Example, list[Window]]] = []
    room = most
    for i in np.random.default_rng(0).permutation(len(examples)):
        windows = pipeline.split(examples[i].document)
        if len(windows) <= room or not chosen:
            chosen.append((examples[i], windows))
            room -= len(windows)
        if room < 1:
            break
    return chosen


def _figures(found: Sequence[tuple[Example, Annotation]], *, typed: bool) -> dict[str, float]:
    n_mentions = sum(bool(m.entity_id) for example, _ in found for m in example.mentions)
    spans = [judged for example, annotation in found for judged in judge_spans(example, annotation)]
    entity_f1, least = best_f1(spans, n_mentions)
    related = [
        (example, annotation) for example, annotation in found if example.relations != "none"
    ]
    n_triples = sum(len(set(example.triples)) for example, _ in related)
    triples = [
        judged
        for example, annotation in related
        for judged in judge_triples(
            example, _strict(example, annotation) if typed else annotation, least=least
        )
    ]
    figures = {"dev_entity_f1": entity_f1} if n_mentions else {}
    if n_triples:
        figures["dev_relation_f1"] = best_f1(triples, n_triples)[0]
    mean = sum(figures.values()) / len(figures) if figures else 0.0
    return {DEV_F1: mean, **figures}


def _strict(example: Example, annotation: Annotation) -> Annotation:
    """Make triples wrong whose ends are not linked as the example says."""
    gold = {mention.span: mention.entity_id for mention in example.mentions}
    right = {each.span for each in annotation.spans if gold.get(each.span) == each.entity_id}
    triples = tuple(
        each if {each.subject, each.object} <= right else replace(each, relation_id=_NO_RELATION)
        for each in annotation.triples
    )
    return replace(annotation, triples=triples)
