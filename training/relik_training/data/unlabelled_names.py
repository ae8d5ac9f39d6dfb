"""Records that a window may well mean although nobody linked them: their names stand in it."""

from relik.names.normalise import tokenise_surface
from relik.retriever.lexical import MAX_NAME_TOKENS
from relik_training.data.examples import Example
from relik_training.data.knowledge_records import Records


def unlabelled_names(example: Example, entities: Records) -> frozenset[int]:
    """Find the records that are named where no link says what the name means.

    Wikipedia links a name once or not at all, so a record whose name, alias, surface form or
    part of a name stands in the window without a link is no sure negative. Words of a linked
    mention are left out: there the link says which of the namesakes is meant.

    Args:
        example: A window with its labels.
        entities: Records with their names.

    Returns:
        Rows.
    """
    linked = [mention.span for mention in example.mentions if mention.entity_id]
    tokens = [
        token if not any(span.start < token[2] and token[1] < span.end for span in linked) else None
        for token in tokenise_surface(example.text)
    ]
    rows: set[int] = set()
    for start in range(len(tokens)):
        key = ""
        for token in tokens[start : start + MAX_NAME_TOKENS]:
            if token is None:
                break
            key = f"{key} {token[0]}" if key else token[0]
            rows.update(match.row for match in entities.lookup(key))
    return frozenset(rows)
