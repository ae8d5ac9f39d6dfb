"""The wire format: what a request may say, and what an answer looks like."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from relik.types import AnnotateOptions, Document, Span
from relik_serve.api.parsing import MAX_ERRORS, field_error, parse_json
from relik_serve.errors import FieldError, InvalidRequestError

Task: TypeAlias = Literal["entities", "relations"]
MAX_TOP_K = 256
# documents.0.mentions.1 is how far a mention is down.
_OF_MENTION = 4

EXAMPLE = {
    "documents": [
        {
            "id": "curie",
            "text": "Marie Curie and her husband Pierre Curie won the Nobel Prize in Physics "
            "in 1903.",
        }
    ]
}
EXAMPLE_OPTIONS = {
    "documents": [{"text": "Microsoft was founded by Bill Gates and Paul Allen."}],
    "tasks": ["entities", "relations"],
    "top_k": 20,
    "threshold": 0.4,
    "relation_threshold": 0.4,
    "explain": True,
}
EXAMPLE_MENTIONS = {
    "documents": [{"text": "Bush met Blair in Washington.", "mentions": [{"start": 18, "end": 28}]}]
}


def _whole_characters(text: str) -> str:
    # JSON can spell half of a surrogate pair, which no encoding of the answer could carry.
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PydanticCustomError(
            "lone_surrogate",
            "got half of a surrogate pair at character {start}, expected Unicode text: "
            "send whole characters",
            {"start": error.start},
        ) from error
    return text


Text: TypeAlias = Annotated[str, AfterValidator(_whole_characters)]


class RequestModel(BaseModel):
    """Base of what clients send: no conversions, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class MentionIn(RequestModel):
    """A mention to link."""

    start: int = Field(ge=0, description="First code point.")
    end: int = Field(description="One past the last code point.")

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.end <= self.start:
            raise PydanticCustomError(
                "empty_mention",
                "got a mention from {start} to {end}, expected start < end: "
                "send half-open code-point offsets",
                {"start": self.start, "end": self.end},
            )
        return self


class DocumentIn(RequestModel):
    """A text to annotate."""

    id: Text | None = Field(
        default=None, description="Given back in the answer; its position by default."
    )
    text: Text = Field(description="Any text; the offsets of the answer count its code points.")
    mentions: list[MentionIn] | None = Field(
        default=None,
        description="Mentions to link, none overlapping, in place of those that the model would "
        "find: each is in the answer, with its best entity whatever the score; null where there "
        "is no candidate.",
    )


class AnnotateRequest(RequestModel):
    """What to annotate, and how."""

    documents: list[DocumentIn] = Field(description="Texts; the answer keeps their order.")
    tasks: list[Task] = Field(
        default=["entities", "relations"],
        min_length=1,
        description="Linked entities, triples, or both. With relations alone, spans are the "
        "ends of triples.",
    )
    top_k: int | None = Field(
        default=None, ge=1, le=MAX_TOP_K, description="Entity candidates per window of text."
    )
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="Least score of a span; the model's own by default."
    )
    relation_threshold: float | None = Field(
        default=None, ge=0, le=1, description="Least score of a triple; the model's own by default."
    )
    explain: bool = Field(
        default=False, description="Add the description and the candidates of each span."
    )
    types: list[Text] = Field(
        default=[], description="Keep only entities of these types; all where empty."
    )
    pretokenised: bool = Field(
        default=False,
        description="The texts come in words with white space between; mentions consist of them.",
    )
    on_overflow: Literal["window", "error"] = Field(
        default="window",
        description="A text longer than one window is read in windows, or refused.",
    )

    def options(self) -> AnnotateOptions:
        """Return what is asked of the pipeline.

        Returns:
            The options.
        """
        return AnnotateOptions(
            entities="entities" in self.tasks,
            relations="relations" in self.tasks,
            top_k=self.top_k,
            threshold=self.threshold,
            relation_threshold=self.relation_threshold,
            explain=self.explain,
            types=tuple(sorted(set(self.types))),
            pretokenised=self.pretokenised,
        )

    def to_documents(self) -> list[Document]:
        """Return the documents, named by their position where they have no id.

        Returns:
            The documents, in order.
        """
        return [
            Document(doc_id=str(index) if each.id is None else each.id, text=each.text)
            for index, each in enumerate(self.documents)
        ]

    def mentions(self) -> list[list[Span] | None]:
        """Return the mentions of each document; None where they are to be found.

        Returns:
            One list for each document, in order.
        """
        return [
            None if each.mentions is None else [Span(m.start, m.end) for m in each.mentions]
            for each in self.documents
        ]


class CandidateOut(BaseModel):
    """An entity that was weighed for a span."""

    entity_id: str
    name: str | None
    description: str | None
    score: float
    rank: int
    source: str


class SpanOut(BaseModel):
    """A mention and the entity it names; `description` and `candidates` when asked to explain."""

    start: int = Field(description="First code point.")
    end: int = Field(description="One past the last code point.")
    text: str
    entity_id: str | None = Field(description="Null where the mention is of nothing known.")
    name: str | None
    score: float
    description: str | None = None
    candidates: list[CandidateOut] = []


class TripleOut(BaseModel):
    """A relation between two spans, by their positions in `spans`."""

    subject: int
    relation_id: str
    relation: str | None
    object: int
    score: float


class CoverageOut(BaseModel):
    """How much of the text was read."""

    characters: int
    windows: int
    truncated: bool


class FieldErrorOut(BaseModel):
    """What is wrong with one field."""

    path: str
    message: str


class Problem(BaseModel):
    """Problem details, RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldErrorOut] = []
    error_id: str | None = None


class DocumentOut(BaseModel):
    """An annotated document."""

    id: str
    spans: list[SpanOut]
    triples: list[TripleOut]
    coverage: CoverageOut


class DocumentFailed(BaseModel):
    """A document that could not be annotated."""

    id: str
    error: Problem


class Timing(BaseModel):
    """Where the time went, in milliseconds."""

    queue_ms: float
    retrieve_ms: float
    read_ms: float


class AnnotateResponse(BaseModel):
    """An annotation, or an error, per document, in the order of the request."""

    model: str
    kb_version: str
    documents: list[DocumentOut | DocumentFailed]
    timing: Timing


class LimitsOut(BaseModel):
    """What a request may hold."""

    documents: int
    document_characters: int
    request_characters: int
    body_bytes: int
    top_k: int
    deadline_s: float


class InfoResponse(BaseModel):
    """What this server runs."""

    model: str
    kb_version: str
    entities: int
    relations: int
    backend: str
    version: str
    limits: LimitsOut


class Status(BaseModel):
    """State of the process."""

    status: str


def parse_request(body: bytes) -> AnnotateRequest:
    """Read a request from the bytes of its body.

    Args:
        body: JSON in UTF-8.

    Returns:
        The request.

    Raises:
        MalformedBodyError: It is not JSON.
        InvalidRequestError: A field is unknown, missing, or has a wrong value.
    """
    value = parse_json(body, example='{"documents": [{"text": "..."}]}')
    try:
        return AnnotateRequest.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise InvalidRequestError([_field_error(each) for each in found[:MAX_ERRORS]]) from error


def _field_error(error: ErrorDetails) -> FieldError:
    path = ".".join(str(part) for part in error["loc"])
    depth = len(error["loc"])
    model = MentionIn if depth > _OF_MENTION else DocumentIn if depth > 1 else AnnotateRequest
    return field_error(error, path=path, fields=model.model_fields)
