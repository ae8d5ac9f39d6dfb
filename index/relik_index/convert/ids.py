"""Unique ids for documents whose own are numbers, missing, or there several times.

A record's id is the document's as text; a document without one has the number of its row, as
`relik.Relik` shows it too. Where an earlier row has that id, "#" and the row follow it.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relik.errors import BundleCorruptError
from relik.upstream.documents import Document

_HASH = np.dtype("<u8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """The ids of records.

    Args:
        renamed: Ids by row, where they are not those of the documents.
    """

    renamed: Mapping[int, str]

    def of(self, row: int, document: Document) -> str:
        """Return the id of a record.

        Args:
            row: Its row.
            document: The document of that row.

        Returns:
            The id.
        """
        return self.renamed.get(row, str(document.id))


def unique_ids(
    documents: Iterable[Document],
    *,
    rows: int,
    document: Callable[[int], Document],
    progress: Callable[[int], None],
) -> Ids:
    """Give each document an id of its own. Eight bytes a row are held, not the ids.

    Args:
        documents: All documents, in the order of their rows.
        rows: How many there are.
        document: Gives the document of a row.
        progress: Called with how many were read.

    Returns:
        The ids.

    Raises:
        BundleCorruptError: An id is no Unicode text.
    """
    hashes: NDArray[np.uint64] = np.empty(rows, dtype=_HASH)
    for row, one in enumerate(documents):
        hashes[row] = _hash(str(one.id), row)
        if row % 4096 == 0:
            progress(row)
    order = np.sort(hashes)
    twice = np.unique(order[1:][order[1:] == order[:-1]])
    renamed: dict[int, str] = {}
    first: set[str] = set()
    # Few share a hash: these are read again, and compared by what they are.
    for row in np.flatnonzero(np.isin(hashes, twice)).tolist() if len(twice) else ():
        own = str(document(row).id)
        if own not in first:
            first.add(own)
            continue
        made = f"{own}#{row}"
        while _is_there(order, _hash(made, row)):
            made = f"{made}#{row}"
        renamed[row] = made
    progress(rows)
    return Ids(renamed=renamed)


def _hash(text: str, row: int) -> int:
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise BundleCorruptError(
            f"row {row}: got the id {text!r} with half of a surrogate pair, expected Unicode text: "
            "correct it"
        ) from error
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _is_there(order: NDArray[np.uint64], value: int) -> bool:
    at = int(np.searchsorted(order, np.uint64(value)))
    return at < len(order) and int(order[at]) == value
