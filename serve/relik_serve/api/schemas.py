"""The wire format of `/v1`: pydantic models of requests and answers."""

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
# Length of the path of a mention: documents.0.mentions.1
_MENTION_DEPTH = 4

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


def _valid_unicode(text: str) -> str:
    # JSON can escape half of a surrogate pair, which the answer could not encode.
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PydanticCustomError(
            "lone_surrogate",
            "got half of a surrogate pair at character {start}, expected Unicode text: "
            "send both halves",
            {"start": error.start},
        ) from error
    return text


Text: TypeAlias = Annotated[str, AfterValidator(_valid_unicode)]


class RequestModel(BaseModel):
    """Base of request models: no type conversions, no unknown fields."""

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
        default=None,
        description="Returned with the answer; the position of the document by default.",
    )
    text: Text = Field(description="The text; offsets count its Unicode code points.")
    mentions: list[MentionIn] | None = Field(
        default=None,
        description="Mentions to link, without overlaps; the model then detects none itself. The "
        "answer has each of them with its best entity, whatever the score, or null if there is no "
        "candidate.",
    )


class AnnotateRequest(RequestModel):
    """Documents to annotate, and options."""

    documents: list[DocumentIn] = Field(description="Texts; the answer keeps their order.")
    tasks: list[Task] = Field(
        default=["entities", "relations"],
        min_length=1,
        description="Entity linking, relation extraction, or both. With relations alone, the "
        "answer has only the spans of triples.",
    )
    top_k: int | None = Field(
        default=None, ge=1, le=MAX_TOP_K, description="Entity candidates per window of text."
    )
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="Minimum score of a span; by default the bundle's."
    )
    relation_threshold: float | None = Field(
        default=None, ge=0, le=1, description="Minimum score of a triple; by default the bundle's."
    )
    explain: bool = Field(
        default=False, description="Add the description and the candidates of each span."
    )
    types: list[Text] = Field(
        default=[], description="Return only entities of these types; empty for all."
    )
    pretokenised: bool = Field(
        default=False,
        description="Tokens of the texts are separated by white space, and mentions consist of "
        "whole tokens.",
    )
    on_overflow: Literal["window", "error"] = Field(
        default="window",
        description="Whether a text longer than one window is split into windows or refused.",
    )

    def options(self) -> AnnotateOptions:
        """Return the options of the pipeline."""
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
        """Return the documents, in order; one without an id gets its position as id."""
        return [
            Document(doc_id=str(index) if each.id is None else each.id, text=each.text)
            for index, each in enumerate(self.documents)
        ]

    def mentions(self) -> list[list[Span] | None]:
        """Return the given mentions of each document, in order; None for a document without."""
        return [
            None if each.mentions is None else [Span(m.start, m.end) for m in each.mentions]
            for each in self.documents
        ]


class CandidateOut(BaseModel):
    """A candidate entity of a span."""

    entity_id: str
    name: str | None
    description: str | None
    score: float
    rank: int
    source: str


class SpanOut(BaseModel):
    """A mention and its entity; `description` and `candidates` only with `explain`."""

    start: int = Field(description="First code point.")
    end: int = Field(description="One past the last code point.")
    text: str
    entity_id: str | None = Field(description="Null for NIL: no entity of the knowledge base.")
    name: str | None
    score: float
    description: str | None = None
    candidates: list[CandidateOut] = []


class TripleOut(BaseModel):
    """A relation between two spans, given by their positions in `spans`."""

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
    """A wrong field of a request."""

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
    """Time in the queue, the retriever and the reader, in milliseconds."""

    queue_ms: float
    retrieve_ms: float
    read_ms: float


class AnnotateResponse(BaseModel):
    """An annotation or an error for each document, in the order of the request."""

    model: str
    kb_version: str
    documents: list[DocumentOut | DocumentFailed]
    timing: Timing


class LimitsOut(BaseModel):
    """Limits of a request."""

    documents: int
    document_characters: int
    request_characters: int
    body_bytes: int
    top_k: int
    deadline_s: float


class InfoResponse(BaseModel):
    """The model, the knowledge base and the limits of this server."""

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
    """Parse the body of a request.

    Args:
        body: JSON in UTF-8.

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
    model = MentionIn if depth > _MENTION_DEPTH else DocumentIn if depth > 1 else AnnotateRequest
    return field_error(error, path=path, fields=model.model_fields)
