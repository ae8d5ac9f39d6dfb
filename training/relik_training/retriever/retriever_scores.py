"""F1 of an encoder on texts kept apart while it is being trained."""

from collections.abc import Sequence, Set

import numpy as np
import torch

from relik_training.retriever.mining import encode_rows
from relik_training.retriever.retriever_data import RetrieverData
from relik_training.retriever.retriever_module import RetrieverModule
from relik_training.run.best_weights import DEV_F1, Measure

# Records that are searched: those that are right or namesakes, and others drawn up to this number.
_RECORDS = 2048


def open_encoder_f1(
    module: RetrieverModule,
    texts: Sequence[list[int]],
    records: Sequence[list[int]],
    *,
    right: Sequence[Set[int]],
    precision: str,
) -> Measure:
    """Measure how many of the records nearest to a text are right.

    Args:
        module: The encoder that is being trained.
        texts: Token ids of each text.
        records: Token ids of each record.
        right: Positions of the right records of each text, at least one; as many records as are
            right are taken for the answer, so that precision, recall and F1 are the same.
        precision: Lightning precision of the run, or "auto".
    """

    def measure() -> dict[str, float]:
        queries = encode_rows(module, texts, precision=precision)
        vectors = encode_rows(module, records, precision=precision)
        order = torch.argsort(queries @ vectors.T, dim=1, descending=True, stable=True).tolist()
        found = sum(
            len(wanted & set(row[: len(wanted)])) for wanted, row in zip(right, order, strict=True)
        )
        return {DEV_F1: found / sum(len(wanted) for wanted in right)}

    return measure


def open_retriever_f1(
    module: RetrieverModule, data: RetrieverData, *, most: int, precision: str
) -> Measure | None:
    """Measure an encoder of windows and entities; None where no window has a linked mention.

    Args:
        module: The encoder that is being trained.
        data: Windows that are not trained on.
        most: Most windows that are read.
        precision: As for `open_encoder_f1`.
    """
    n_entities = len(data.entities)
    right = [{row for row in rows if row < n_entities} for rows in data.positives]
    rng = np.random.default_rng(0)
    chosen = [int(i) for i in rng.permutation(len(right)) if right[i]][:most]
    if not chosen:
        return None
    searched = {row for i in chosen for row in (*right[i], *data.namesakes[i]) if row < n_entities}
    drawn = rng.permutation(n_entities)[: max(0, _RECORDS - len(searched))]
    rows = sorted(searched | set(drawn.tolist()))
    place = {row: at for at, row in enumerate(rows)}
    return open_encoder_f1(
        module,
        [data.windows[i] for i in chosen],
        data.records(rows),
        right=[{place[row] for row in right[i]} for i in chosen],
        precision=precision,
    )
