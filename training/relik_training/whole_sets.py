"""What data sets leave unlabelled, taken for none: the ablation of positive-unlabelled losses."""

from dataclasses import fields

from relik_training.recipes import Tables
from relik_training.source_config import SourceConfig

_DEFAULTS = {field.name: field.default for field in fields(SourceConfig)}


def taken_as_whole(sources: Tables) -> Tables:
    """Take sets that annotate some mentions or relations as if they annotated all.

    Args:
        sources: Tables as `SourceConfig`.

    Returns:
        The same with "all" in the place of "some"; "none" stays, since there nothing was sought.
    """
    return tuple(
        table
        | {
            name: "all"
            for name in ("mentions", "relations")
            if table.get(name, _DEFAULTS[name]) == "some"
        }
        for table in sources
    )
