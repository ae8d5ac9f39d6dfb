"""An MPNet reads the same words by the numbers of a BERT."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

torch = pytest.importorskip("torch")

from relik.errors import ConfigError  # noqa: E402
from relik_training.run.backbone import as_bert, same_words  # noqa: E402

TEXT = "Ada was born in Paris [SEP] and nobody met <s> Bob."


@pytest.fixture
def own(mpnet_backbone: Path) -> Tokenizer:
    return Tokenizer.from_file(str(mpnet_backbone / "tokenizer.json"))


def _table(tokenizer: Tokenizer) -> "torch.Tensor":
    return torch.arange(float(tokenizer.get_vocab_size()))[:, None]


def test_the_words_are_numbered_as_in_bert(own: Tokenizer, word_tokenizer: Tokenizer) -> None:
    made, _ = as_bert(own, _table(own))
    assert made.get_vocab() == word_tokenizer.get_vocab()
    assert same_words(made, word_tokenizer)
    assert not same_words(own, word_tokenizer)
    assert made.encode("Ada met Bob").ids == word_tokenizer.encode("Ada met Bob").ids
    assert made.padding is None


def test_every_word_keeps_its_row(own: Tokenizer) -> None:
    made, table = as_bert(own, _table(own))
    words = own.get_vocab()
    for word, row in made.get_vocab().items():
        stands_for = {"[PAD]": "<pad>", "[CLS]": "<s>", "[SEP]": "</s>"}.get(word, word)
        assert table[row, 0] == words[stands_for]


def test_texts_are_cut_into_the_same_pieces(own: Tokenizer) -> None:
    own.no_padding()
    made, table = as_bert(own, _table(own))
    for tokenizer in (own, made):
        tokenizer.encode_special_tokens = True
    before = own.encode(TEXT, add_special_tokens=False)
    after = made.encode(TEXT, add_special_tokens=False)
    assert after.offsets == before.offsets
    rows = table[torch.tensor(after.ids), 0].int().tolist()
    assert rows == before.ids


def test_another_tokenizer_is_refused(word_tokenizer: Tokenizer, own: Tokenizer) -> None:
    with pytest.raises(ConfigError, match=r"without <pad>"):
        as_bert(word_tokenizer, _table(word_tokenizer))
    with pytest.raises(ConfigError, match="without any missing, expected 3"):
        as_bert(own, torch.zeros(3, 4))
