"""What one call of `Relik` may ask for, checked."""

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
    """What one call asks for.

    Args:
        top_k: Candidates per window, at least 1; None as the pipeline is set.
        window_size: Tokens per window, "sentence" or "none"; None as the pipeline is set.
        window_stride: Tokens from one window to the next; None as the pipeline is set, unless
            `window_size` is "sentence" or "none", which have none, or a smaller number.
        retriever_batch_size: Windows that the encoder reads at once.
        reader_batch_size: Most windows that the reader reads at once.
        return_windows: Give the windows back.
        use_doc_topic: Tell the encoder the first token of the document too.
        annotation_type: "char" for offsets of code points, "word" for those of tokens.
        progress_bar: Show progress on the terminal.
        relation_threshold: Probability above which a relation is kept, 0 to 1; None as the
            reader is set.
        remove_nmes: Leave out mentions of nothing that the index has, in entity linking.
        max_length: Subwords of text and candidates that the reader reads at once; None for
            upstream's 1000.
        num_workers: Taken for upstream's sake. No worker processes are started: they cost more
            than they save.
        precision: Numbers to compute with in this call, as `parse_precision` reads them; None
            as the parts were opened. Only a lower precision changes anything, and on a CPU only
            bfloat16, as upstream has it.

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
                raise InputError(f"got {name} {value!r}, expected a whole number from {lowest}")
        threshold = self.relation_threshold
        if threshold is not None and not 0 <= threshold <= 1:
            raise InputError(f"got relation_threshold {threshold!r}, expected 0 to 1")
        if getattr(self.annotation_type, "value", self.annotation_type) not in ("char", "word"):
            raise InputError(f"got annotation_type {self.annotation_type!r}, expected char or word")
        if self.precision is not None:
            parse_precision(self.precision, where="precision")

    @property
    def words(self) -> bool:
        """Whether answers count tokens, not code points."""
        return bool(getattr(self.annotation_type, "value", self.annotation_type) == "word")

    def reading(self) -> "ReadOptions":
        """Return what the reader is told."""
        from relik.upstream.reader.released_reader import ReadOptions

        options = ReadOptions(
            relation_threshold=self.relation_threshold,
            remove_nmes=self.remove_nmes,
            batch_size=self.reader_batch_size,
        )
        return options if self.max_length is None else replace(options, max_length=self.max_length)

    def windowing(self, settings: PipelineSettings) -> Windowing:
        """Return how texts are cut: as the call says, else as the pipeline is set.

        Raises:
            InputError: They do not go together.
        """
        size, stride = self.window_size, self.window_stride
        if size is None:
            size = "none" if settings.window_size is None else settings.window_size
        if stride is None and not isinstance(size, str):
            stride = settings.window_stride
            # A stride for larger windows would leave tokens out between smaller ones.
            if stride is not None and isinstance(size, int) and stride > size:
                stride = size
        return Windowing(size=size, stride=stride)


def read_options(options: Mapping[str, Any], named: Mapping[str, Any]) -> CallOptions:
    """Read the keyword arguments of a call.

    Raises:
        TypeError: There is no such option; the message has the nearest name.
        InputError: A value is out of range.
    """
    known = [f.name for f in fields(CallOptions)]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(known)}"
            raise TypeError(f"Relik got an unexpected keyword argument {name!r}, {hint}")
    return CallOptions(**options, **named)
