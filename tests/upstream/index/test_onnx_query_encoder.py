"""Which texts a converted encoder reads together."""

from hypothesis import given
from hypothesis import strategies as st

from relik.upstream.index.onnx_query_encoder import group_by_length


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(0, 100))
def test_each_text_is_read_once_with_others_of_its_length(lengths: list[int], most: int) -> None:
    groups = group_by_length(lengths, most)
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    for group in groups:
        assert len({lengths[place] for place in group}) == 1
        assert len(group) == 1 or len(group) * lengths[group[0]] <= most


def test_long_texts_come_first_and_none_share_without_room() -> None:
    assert group_by_length([3, 9, 3, 3], 6) == [[1], [0, 2], [3]]
    assert group_by_length([3, 3], 0) == [[0], [1]]
