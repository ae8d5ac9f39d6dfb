"""Doubt about the ends of triples, taken into the scores that triples are calibrated from."""

from dataclasses import replace

from relik.reader.decode import calibrated, with_ends
from relik.types import Annotation


def weigh_ends(annotation: Annotation, scale: float, shift: float, weight: float) -> Annotation:
    """Give triples the raw scores that a calibration with `triple_ends` starts from.

    Args:
        annotation: With raw scores.
        scale: Of the calibration of spans.
        shift: Likewise.
        weight: As `CalibrationConfig.triple_ends`.

    Returns:
        The same with other scores of triples.
    """
    score_of = {found.span: calibrated(found.score, scale, shift) for found in annotation.spans}
    triples = tuple(
        replace(
            triple,
            score=with_ends(
                triple.score, (score_of[triple.subject], score_of[triple.object]), weight
            ),
        )
        for triple in annotation.triples
    )
    return replace(annotation, triples=triples)
