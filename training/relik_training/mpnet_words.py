"""The words of an MPNet in BERT's order, so that all backbones number words alike.

MPNet's vocabulary is BERT's with five special tokens of its own around it, and cuts texts into the
same pieces. Renumbered as BERT's it stands on any base of a BERT: the same candidates, the same
token ids in the knowledge base, the same positions in the rows of a teacher and its student.
"""

import json

import torch
from tokenizers import Tokenizer

from relik.errors import ConfigError

# What stands for each special token of BERT; [UNK] is MPNet's own.
_OWN = {"[PAD]": "<pad>", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}
_LEFT_OUT = {*_OWN.values(), "<unk>"}
_NEEDED = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def as_bert(tokenizer: Tokenizer, table: torch.Tensor) -> tuple[Tokenizer, torch.Tensor]:
    """Renumber the words of an MPNet as BERT numbers them.

    Args:
        tokenizer: MPNet's own.
        table: Float32, (vocabulary, hidden): its word embeddings.

    Returns:
        A tokenizer with BERT's words and special tokens that cuts texts into the same pieces, and
        the rows of the table in its order, (smaller vocabulary, hidden).

    Raises:
        ConfigError: The tokenizer is not an MPNet's.
    """
    words = tokenizer.get_vocab()
    lacking = [name for name in (*_OWN.values(), *_NEEDED) if name not in words]
    if lacking or len(words) != len(table):
        raise ConfigError(
            f"the tokenizer has {len(words)} words without {', '.join(lacking) or 'any missing'}, "
            f"expected {len(table)} with BERT's and MPNet's special tokens: give the "
            "tokenizer.json of an MPNet"
        )
    kept = sorted((word for word in words if word not in _LEFT_OUT), key=words.__getitem__)
    vocabulary = {word: row for row, word in enumerate(kept)}
    rows = [words[_OWN.get(word, word)] for word in kept]
    return _renamed(tokenizer, vocabulary), table[torch.tensor(rows)]


def _renamed(tokenizer: Tokenizer, vocabulary: dict[str, int]) -> Tokenizer:
    about = json.loads(tokenizer.to_str())
    about["model"] |= {"vocab": vocabulary}
    about["added_tokens"] = [
        {
            "id": vocabulary[name],
            "content": name,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for name in sorted(vocabulary.keys() & set(_SPECIAL), key=vocabulary.__getitem__)
    ]
    first, last = ({"SpecialToken": {"id": name, "type_id": 0}} for name in ("[CLS]", "[SEP]"))
    text = {"Sequence": {"id": "A", "type_id": 0}}
    second = [
        {"Sequence": {"id": "B", "type_id": 1}},
        {"SpecialToken": {"id": "[SEP]", "type_id": 1}},
    ]
    about["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [first, text, last],
        "pair": [first, text, last, *second],
        "special_tokens": {
            name: {"id": name, "ids": [vocabulary[name]], "tokens": [name]}
            for name in ("[CLS]", "[SEP]")
        },
    }
    about["truncation"] = about["padding"] = None
    return Tokenizer.from_str(json.dumps(about))


def same_words(one: Tokenizer, other: Tokenizer) -> bool:
    """Tell whether two tokenizers cut every text into the same numbered pieces.

    Args:
        one: A tokenizer.
        other: Another.

    Returns:
        True where vocabulary, normalisation and cutting are the same. Special tokens that a text
        spells out do not count: readers take them for text.
    """
    return _cutting(one) == _cutting(other)


def _cutting(tokenizer: Tokenizer) -> dict[str, object]:
    about = json.loads(tokenizer.to_str())
    return {name: about[name] for name in ("normalizer", "pre_tokenizer", "model")}
