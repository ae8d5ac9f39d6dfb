"""Requests to `/api/relik`: the query string of a GET, or the JSON body of a POST."""

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import parse_qsl

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from relik.types import AnnotateOptions
from relik_serve.api.parsing import MAX_ERRORS, field_error, parse_json, printable, shown
from relik_serve.api.schemas import MAX_TOP_K, RequestModel, Text
from relik_serve.errors import FieldError, InvalidRequestError

EXAMPLE = {"text": "Microsoft was founded by Bill Gates and Paul Allen."}
EXAMPLE_OPTIONS = {
    "text": ["Microsoft was founded by Bill Gates.", "Ada Lovelace was born in London."],
    "top_k": 20,
    "annotation_type": "word",
    "relation_threshold": 0.4,
    "return_windows": True,
}
EXAMPLE_WORDS = {"text": ["Ada", "was", "born", "in", "London"], "is_split_into_words": True}

_WINDOWS = "leave it out: the bundle's pipeline.toml sets the windows under [windows]"
_SPEED = "Validated and ignored: it affects speed only, and the server makes its own batches."


def _refuse_unless(allowed: Callable[[Any], bool], *, do: str) -> AfterValidator:
    """Refuse values of options that are fixed when the pipeline is opened."""

    def check(value: Any) -> Any:
        if allowed(value):
            return value
        raise PydanticCustomError(
            "fixed_option",
            "got {value}, which this server cannot change for a request: {do}",
            {"value": json.dumps(value), "do": do},
        )

    return AfterValidator(check)


_WindowSize: TypeAlias = Annotated[
    int | str | None,
    _refuse_unless(
        lambda size: size in (None, "none"),
        do=f'{_WINDOWS}, or send "none" for texts that fit into one window',
    ),
]
_WindowStride: TypeAlias = Annotated[
    int | None, _refuse_unless(lambda stride: stride is None, do=_WINDOWS)
]
_UseDocTopic: TypeAlias = Annotated[
    bool,
    _refuse_unless(
        lambda use: not use,
        do="leave it out: retrieval already uses the whole document",
    ),
]


class RelikRequest(RequestModel):
    """Texts to annotate, and options, with upstream's field names."""

    text: list[Text | list[Text]] = Field(
        min_length=1,
        description="One or more texts. With `is_split_into_words`, the words of one text or, in "
        "a POST, a list of words for each text.",
    )
    top_k: int | None = Field(
        default=None, ge=1, le=MAX_TOP_K, description="Entity candidates per window of text."
    )
    window_size: _WindowSize = Field(
        default=None,
        description='`"none"` reads each text in one window and refuses a text that does not fit. '
        "Other values are refused: the bundle sets the windows.",
    )
    window_stride: _WindowStride = Field(
        default=None, description="Any value is refused: the bundle sets the windows."
    )
    is_split_into_words: bool = Field(
        default=False,
        description="`text` is a list of words. The text is the words joined by spaces, and "
        "`tokens` are the words.",
    )
    retriever_batch_size: int | None = Field(default=None, ge=1, description=_SPEED)
    reader_batch_size: int | None = Field(default=None, ge=1, description=_SPEED)
    num_workers: int | None = Field(default=None, ge=0, description=_SPEED)
    return_windows: bool = Field(default=False, description="Add `windows` to each answer.")
    use_doc_topic: _UseDocTopic = Field(default=False, description="True is refused.")
    annotation_type: Literal["char", "word"] = Field(
        default="char", description="Whether offsets count code points of `text` or `tokens`."
    )
    relation_threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Minimum confidence of a triplet; by default the bundle's.",
    )
    remove_nmes: bool = Field(
        default=True,
        description="Leave out NIL mentions. Those that remain, because a triplet has them or "
        "this is false, have the label `--NME--`.",
    )

    def options(self) -> AnnotateOptions:
        """Return the options of the pipeline."""
        return AnnotateOptions(
            top_k=self.top_k,
            relation_threshold=self.relation_threshold,
            nil=not self.remove_nmes,
        )

    def word_lists(self) -> list[list[str]]:
        """Return the words of each text of a request with `is_split_into_words`.

        Raises:
            InvalidRequestError: Words and lists of words are mixed.
        """
        words = [each for each in self.text if isinstance(each, str)]
        lists = [each for each in self.text if not isinstance(each, str)]
        if words and lists:
            raise InvalidRequestError.of(
                "text",
                f"got {len(words)} words and {len(lists)} lists of words, expected one kind: send "
                "words, or a list of words for each text",
            )
        return lists or [words]

    def plain_texts(self) -> list[str]:
        """Return the texts of a request without `is_split_into_words`.

        Raises:
            InvalidRequestError: A text is a list of words.
        """
        wrong = [
            FieldError(
                path=f"text.{i}",
                message="got a list, expected a string: set is_split_into_words for words",
            )
            for i, each in enumerate(self.text)
            if not isinstance(each, str)
        ]
        if wrong:
            raise InvalidRequestError(wrong[:MAX_ERRORS])
        return [each for each in self.text if isinstance(each, str)]


def parse_body(body: bytes) -> RelikRequest:
    """Parse the body of a POST.

    Args:
        body: JSON in UTF-8.

    Raises:
        MalformedBodyError: It is not JSON.
        InvalidRequestError: A field is unknown, missing, or has a wrong value.
    """
    value = parse_json(body, example='{"text": "..."}')
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        value["text"] = [value["text"]]
    return _validated(value, strict=True)


def parse_query(query: bytes) -> RelikRequest:
    """Parse the query string of a GET.

    Raises:
        InvalidRequestError: It is not UTF-8, or a field is unknown, missing, repeated, or has a
            wrong value.
    """
    try:
        pairs = parse_qsl(query.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidRequestError.of(
            "",
            "got a query that is not UTF-8 after percent-decoding, expected UTF-8: encode the "
            "text as UTF-8",
        ) from error
    values: dict[str, object] = {}
    texts = [value for name, value in pairs if name == "text"]
    if texts:
        values["text"] = texts
    for name, value in pairs:
        if name == "text":
            continue
        if name in values:
            message = "got it more than once, expected it once: only text can be repeated"
            raise InvalidRequestError.of(printable(name), message)
        values[name] = value
    return _validated(values, strict=False)


def _validated(values: object, *, strict: bool) -> RelikRequest:
    try:
        return RelikRequest.model_validate(values, strict=strict)
    except ValidationError as error:
        found = error.errors(include_url=False)
        fields = [_field_error(each) for each in found]
        # pydantic reports an error for each member of a union, all with the same path.
        first = {field.path: field for field in reversed(fields)}
        raise InvalidRequestError([*first.values()][::-1][:MAX_ERRORS]) from error


def _field_error(error: ErrorDetails) -> FieldError:
    name, *rest = error["loc"] or ("",)
    path = ".".join([str(name), *(str(part) for part in rest if isinstance(part, int))])
    if name == "text" and error["type"] in ("string_type", "list_type"):
        message = (
            f"got {shown(error['input'])}, expected a string or a list of strings: "
            'send "text": "..." or "text": ["...", "..."]'
        )
        return FieldError(path=path, message=message)
    return field_error(error, path=path, fields=RelikRequest.model_fields)
