"""What the models read of a record; the same for entities and relations."""

from relik.types import Entity


def encoder_text(entity: Entity) -> str:
    """Write a record as the text whose vector stands for it in the index.

    Aliases are left out: names are matched exactly beside the dense search, so the vector is
    better spent on what the record is.

    Args:
        entity: The record.

    Returns:
        Name and description.
    """
    return f"{entity.name} {entity.description}" if entity.description else entity.name


def candidate_text(entity: Entity) -> str:
    """Write a record as the reader sees it among the candidates of a window.

    Args:
        entity: The record.

    Returns:
        The name, followed by the description after a comma if there is one.
    """
    return f"{entity.name}, {entity.description}" if entity.description else entity.name
