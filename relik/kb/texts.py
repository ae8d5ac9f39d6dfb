"""What the models read of a record; the same for entities and relations."""

from relik.types import Entity

MAX_ALIASES = 3


def encoder_text(entity: Entity) -> str:
    """Write a record as the text whose vector stands for it in the index.

    Args:
        entity: The record.

    Returns:
        Name, up to three aliases that differ from it in brackets, and the description.
    """
    seen = {entity.name.casefold()}
    aliases: list[str] = []
    for alias in entity.aliases:
        if alias.casefold() not in seen and len(aliases) < MAX_ALIASES:
            seen.add(alias.casefold())
            aliases.append(alias)
    listed = f" ({', '.join(aliases)})" if aliases else ""
    described = f" {entity.description}" if entity.description else ""
    return f"{entity.name}{listed}{described}"


def candidate_text(entity: Entity) -> str:
    """Write a record as the reader sees it among the candidates of a window.

    Args:
        entity: The record.

    Returns:
        The name, followed by the description after a comma if there is one.
    """
    return f"{entity.name}, {entity.description}" if entity.description else entity.name
