import pytest

from relik.errors import TextTooLongError
from relik_serve.api.requests import check_size, too_long
from relik_serve.errors import InvalidRequestError
from relik_serve.settings import Settings

SETTINGS = Settings(max_documents=2, max_document_characters=5, max_request_characters=8)


def test_a_limit_itself_is_allowed():
    check_size([4, 4], SETTINGS, field="documents", noun="documents")
    assert too_long(5, SETTINGS) is None


def test_too_many_texts_are_refused_by_the_field_they_are_in():
    with pytest.raises(InvalidRequestError, match="got 3 texts, expected at most 2") as refused:
        check_size([0, 0, 0], SETTINGS, field="text", noun="texts")
    assert [error.path for error in refused.value.errors] == ["text"]


def test_too_much_text_is_refused_in_all_and_by_itself():
    with pytest.raises(TextTooLongError, match="got 9 characters in all texts, expected at most 8"):
        check_size([4, 5], SETTINGS, field="text", noun="texts")
    error = too_long(6, SETTINGS, where="text.1: ")
    assert isinstance(error, TextTooLongError)
    assert str(error).startswith("text.1: got a text of 6 characters, expected at most 5")
