import pytest

import relik.errors
from relik.errors import (
    BundleError,
    ConfigError,
    DimensionMismatchError,
    InferenceError,
    InputError,
    RelikError,
    TextTooLongError,
)
from relik_serve.errors import (
    BodyTooLargeError,
    DeadlineError,
    FieldError,
    InvalidRequestError,
    MalformedBodyError,
    NotReadyError,
    OverloadedError,
)
from relik_serve.problems import problem_of, status_of

STATUSES = [
    (RelikError("x"), 500),
    (ConfigError("x"), 500),
    (BundleError("x"), 500),
    (DimensionMismatchError("x"), 500),
    (InferenceError("x"), 500),
    (ValueError("x"), 500),
    (InputError("x"), 422),
    (InvalidRequestError([FieldError(path="a", message="b")]), 422),
    (TextTooLongError("x"), 413),
    (BodyTooLargeError("x"), 413),
    (MalformedBodyError("x"), 400),
    (OverloadedError("x"), 429),
    (NotReadyError("x"), 503),
    (DeadlineError("x"), 504),
]


@pytest.mark.parametrize(("error", "status"), STATUSES, ids=lambda value: type(value).__name__)
def test_each_error_has_its_status(error, status):
    assert status_of(error) == status
    assert problem_of(error)["status"] == status


def test_a_subclass_has_the_status_of_its_base():
    class TooManyMentionsError(TextTooLongError):
        pass

    assert status_of(TooManyMentionsError("x")) == 413


def test_every_error_of_the_library_has_a_status():
    for name in relik.errors.__all__:
        assert 400 <= status_of(getattr(relik.errors, name)("x")) < 600


@pytest.mark.parametrize("error", [InferenceError("/secret/path"), KeyError("/secret/path")])
def test_what_failed_inside_stays_in_the_log(error, caplog):
    problem = problem_of(error)

    assert "secret" not in str(problem)
    assert "secret" in caplog.text
    assert problem["error_id"] in caplog.text


def test_two_failures_have_two_ids():
    ids = {problem_of(InferenceError("x"))["error_id"] for _ in range(2)}
    assert len(ids) == 2


def test_the_detail_of_a_wrong_request_names_the_first_field_and_counts_the_rest():
    errors = [FieldError(path=path, message="wrong") for path in ("top_k", "tasks", "types")]

    problem = problem_of(InvalidRequestError(errors))

    assert problem["detail"] == "top_k: wrong (and 2 more)"
    assert [each["path"] for each in problem["errors"]] == ["top_k", "tasks", "types"]
    assert problem["type"] == "urn:relik:problem:invalid-request"
