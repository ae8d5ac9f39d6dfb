"""Records whose names occur unlinked in a window, and which are therefore no sure negatives."""

from relik.names.normalise import tokenise_surface
from relik.retriever.lexical import MAX_NAME_TOKENS
from relik_training.data.examples import Example
from relik_training.data.knowledge_records import Records


def unlabelled_names(example: Example, entities: Records) -> frozenset[int]:
    """Return the rows of records with a name in the unlinked text of a window.

    Wikipedia links a name once or not at all, so that a record whose name, alias, surface form or
    partial name occurs without a link is no sure negative. Linked mentions are skipped: their link
    disambiguates the name.
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
