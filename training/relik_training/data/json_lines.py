"""JSON Lines of data sets, plain or gzip."""

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from relik.errors import InputError
from relik_training.formats.streams import write_objects


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Read JSON objects, one per line; gzip if the name ends in .gz.

    Raises:
        InputError: The file is missing, or a line is not a JSON object in UTF-8.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                value = json.loads(line)
                if not isinstance(value, dict):
                    raise InputError(
                        f"{path}:{number}: got {type(value).__name__}, expected an object: correct "
                        "the line"
                    )
                yield value
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}): give a JSON Lines file") from error
    except ValueError as error:
        raise InputError(
            f"{path}:{number + 1}: is not JSON in UTF-8 ({error}): give one object a line"
        ) from error


def write_jsonl(path: Path, values: Iterable[dict[str, Any]]) -> int:
    """Write JSON objects, one per line, and return their number.

    Args:
        path: File to replace; gzip, with reproducible bytes, if its name ends in .gz.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_objects(values, path)
