"""Options of one call of `Relik`, checked."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from relik.errors import InputError
from relik.upstream.checkpoint.settings import PipelineSettings, parse_precision
from relik.upstream.text.token_windows import Windowing

if TYPE_CHECKING:
    from relik.upstream.reader.released_reader import ReadOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """Options of one call; None uses the setting of the pipeline or reader.

    Args:
        top_k: Candidates per window, at least 1.
        window_size: Tokens per window, "sentence" or "none".
        window_stride: Tokens from one window to the next; "sentence" and "none" have no stride,
            and with a smaller `window_size` the default is that size.
        retriever_batch_size: Windows per batch of the encoder.
        reader_batch_size: Most windows per batch of the reader.
        return_windows: Return the windows too.
        use_doc_topic: Give the encoder the first token of the document too.
        annotation_type: "char" for offsets in code points, "word" for offsets in tokens.
        relation_threshold: Probability above which a relation is kept, 0..1.
        remove_nmes: Leave out NIL mentions, in entity linking.
        max_length: Most subwords of text and candidates in a row; None for upstream's 1000.
        num_workers: Ignored, for compatibility: worker processes cost more than they save.
        precision: See `parse_precision`. Only a lower precision has an effect, and on a CPU only
            bfloat16, as in upstream.

    Raises:
        InputError: A value is out of range.
        ConfigError: There is no such precision.
    """

    top_k: int | None = None
    window_size: int | str | None = None
    window_stride: int | None = None
    retriever_batch_size: int = 32
    reader_batch_size: int = 32
    return_windows: bool = False
    use_doc_topic: bool = False
    annotation_type: Literal["char", "word"] = "char"
    progress_bar: bool = False
    relation_threshold: float | None = None
    remove_nmes: bool = True
    max_length: int | None = None
    num_workers: int | None = None
    precision: str | int | None = None

    def __post_init__(self) -> None:
        least = {
            "top_k": 1,
            "retriever_batch_size": 1,
            "reader_batch_size": 1,
            "max_length": 1,
            "num_workers": 0,
        }
        for name, lowest in least.items():
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int) or value < lowest
            ):
                raise InputError(
                    f"got {name} {value!r}, expected a whole number from {lowest}: correct it"
                )
        threshold = self.relation_threshold
        if threshold is not None and not 0 <= threshold <= 1:
            raise InputError(f"got relation_threshold {threshold!r}, expected 0 to 1: correct it")
        if getattr(self.annotation_type, "value", self.annotation_type) not in ("char", "word"):
            raise InputError(
                f"got annotation_type {self.annotation_type!r}, expected char or word: correct it"
            )
        if self.precision is not None:
            parse_precision(self.precision, where="precision")

    @property
    def words(self) -> bool:
        """Whether offsets of the answer count tokens, not code points."""
        return bool(getattr(self.annotation_type, "value", self.annotation_type) == "word")

    def reading(self) -> "ReadOptions":
        """Return the options of the reader."""
        from relik.upstream.reader.released_reader import ReadOptions

        options = ReadOptions(
            relation_threshold=self.relation_threshold,
            remove_nmes=self.remove_nmes,
            batch_size=self.reader_batch_size,
        )
        return options if self.max_length is None else replace(options, max_length=self.max_length)

    def windowing(self, settings: PipelineSettings) -> Windowing:
        """Return window size and stride: those of the call, else of the pipeline.

        Raises:
            InputError: They do not fit each other.
        """
        size, stride = self.window_size, self.window_stride
        if size is None:
            size = "none" if settings.window_size is None else settings.window_size
        if stride is None and not isinstance(size, str):
            stride = settings.window_stride
            # A stride for larger windows would skip tokens between smaller ones.
            if stride is not None and isinstance(size, int) and stride > size:
                stride = size
        return Windowing(size=size, stride=stride)


def read_options(options: Mapping[str, Any], named: Mapping[str, Any]) -> CallOptions:
    """Read the keyword arguments of a call.

    Raises:
        TypeError: There is no such option; the message suggests the nearest name.
        InputError: A value is out of range.
    """
    known = [f.name for f in fields(CallOptions)]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(known)}"
            raise TypeError(f"Relik got an unexpected keyword argument {name!r}, {hint}")
    return CallOptions(**options, **named)
