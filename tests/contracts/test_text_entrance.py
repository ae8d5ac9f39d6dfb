"""Training and serving get the same tokens of a text, and no module goes round `relik.text`."""

import ast
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from relik.bundle import Bundle, open_bundle  # noqa: E402
from relik.config import RetrieverConfig  # noqa: E402
from relik.kb import KnowledgeBase  # noqa: E402
from relik.kb.records import candidate_text, encoder_text  # noqa: E402
from relik.kb.view import KnowledgeView  # noqa: E402
from relik.layout import LAYOUT  # noqa: E402
from relik.reader.inputs import MarkerLayout, ReaderInput, TextTokens  # noqa: E402
from relik.reader.open_reader import open_reader  # noqa: E402
from relik.reader.reader import TransformerReader  # noqa: E402
from relik.retriever.encoder import TransformerEncoder  # noqa: E402
from relik.retriever.window_retriever import WindowRetriever  # noqa: E402
from relik.text import TextTokenizer  # noqa: E402
from relik.types import (  # noqa: E402
    AnnotateOptions,
    Entity,
    Span,
    Window,
    WindowCandidates,
)
from relik_index import BuildOptions, build_index  # noqa: E402
from relik_training.data.candidates import CandidateSource  # noqa: E402
from relik_training.data.examples import Example  # noqa: E402
from relik_training.data.json_lines import write_jsonl  # noqa: E402
from relik_training.data.knowledge_records import Records  # noqa: E402
from relik_training.data.statements import Mention  # noqa: E402
from relik_training.distill.encoder_losses import EncoderTeacher  # noqa: E402
from relik_training.distill.token_alignment import RowMaker  # noqa: E402
from relik_training.reader.reader_data import ReaderBatch, ReaderData  # noqa: E402
from relik_training.recipes.reader_settings import ReaderSampling  # noqa: E402
from relik_training.recipes.recipe import RetrieverTraining  # noqa: E402
from relik_training.recipes.relation_settings import RelationSampling  # noqa: E402
from relik_training.relations.relation_data import RelatedPair, RelationData  # noqa: E402
from relik_training.retriever.retriever_data import (  # noqa: E402
    RetrieverData,
)

ROOT = Path(__file__).parents[2]
PACKAGES = ("relik", "index/relik_index", "serve/relik_serve", "training/relik_training")

MOST = 64
"""Tokens of an encoder's row here: some of the texts are longer."""

HOSTILE = (
    "",
    " \t\n",
    "Ada Lovelace was born in London.",
    # Words that line ends divide, and hyphens that stay.
    "The Massa-\nchusetts and New Or-\r\n  leans Gazette",
    "Na¬ tions of Gene\u00ac\nva and Donau\u00addampf\u00adschiff",
    "Anglo-\nSaxon, pre- and post-war, 1914-\n18",
    "\u00ad\u00ac-\n\u00ad",
    # What looks like special tokens and markers.
    "[CLS] a [SEP] b [PAD][UNK] [MASK] [sep]",
    "[E-0] Rome [R-0] capital of --NME-- [unused1] ##ing",
    "</s><s><mask>|endoftext|",
    # Case, which the reader gets as token types.
    "LONDON, Tuesday. THE QUEEN met mr. SMITH-Jones and McDONALD",
    "tiTle cAsE iPhone eBay USA U.S.A. \u01c5 \u00df \u0130stanbul \u0131",
    # Emoji with joiners, tones of skin and selectors of variants; flags.
    "Ada \U0001f469\u200d\U0001f4bb \u2764\ufe0f \U0001f44d\U0001f3fd \U0001f1ec\U0001f1e7 Paris",
    # Combining marks, full width, ligatures, from right to left, marks of direction.
    "Poincare\u0301 Z\u0335a\u0337l\u0338g\u0335o\u0336 \uff21\uff44\uff41 \ufb01ne",
    "\u0634\u0627\u0631\u0639 \u202b\u05d9\u05e8\u05d5\u05e9\u05dc\u202c \u200fabc\u200e",
    # What cannot be encoded, what cannot be seen.
    "Ada \ud83d and \udc4d, \ude00\ud83d Paris",
    "zero\u200bwidth\u200c\u200d\ufeff\u2060 nul\x00 bell\x07 del\x7f \ufffd",
    "\u65e5\u672c\u8a9e Tokyo \u0939\u093f\u0928\u094d\u0926\u0940 " + "a\u0301" * 40,
    "word " * 200,
)
PIECES = (
    "Rome",
    "ROME",
    "é",
    " ",
    "\n",
    "\r\n",
    "-\n",
    "¬ ",
    "\u00ad",
    "[SEP]",
    "[PAD]",
    "[",
    "##",
)
ANY = st.one_of(
    st.text(st.characters(codec=None), max_size=60),
    st.lists(st.sampled_from((*PIECES, "\ud83d", "\U0001f469\u200d", "\u0301"))).map("".join),
)


class Recorder:
    """Stands in the place of an encoder's model and table, and keeps the ids that it is given."""

    hidden = 1

    def __init__(self) -> None:
        self.ids = np.zeros((0, 0), dtype=np.int64)

    def lookup(self, ids: np.ndarray) -> np.ndarray:
        self.ids = ids
        return np.zeros((*ids.shape, self.hidden), dtype=np.float32)

    def encode(
        self, inputs_embeds: np.ndarray, token_type_ids: np.ndarray, attention_mask: np.ndarray
    ) -> np.ndarray:
        assert attention_mask.all(), "one text at a time needs no padding"
        return np.ones((len(inputs_embeds), self.hidden), dtype=np.float32)


class RecordingModel(torch.nn.Module):
    """A teacher's model that keeps the words that it is given."""

    def encode(
        self, words: "torch.Tensor", types: "torch.Tensor", mask: "torch.Tensor"
    ) -> "torch.Tensor":
        self.ids = words[:, :, 0].long()
        return torch.ones((len(words), 1))


Served = tuple[TransformerReader, KnowledgeView]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """The bundle in the package: its tokenizer has all the words of a BERT."""
    return open_bundle(verify=False)


@pytest.fixture(scope="module")
def plain(bundle: Bundle) -> Tokenizer:
    """The same tokenizer as training opens it: special tokens in a text are special."""
    tokenizer = Tokenizer.from_file(str(bundle.path / LAYOUT.tokenizer))
    assert not tokenizer.encode_special_tokens
    return tokenizer


@pytest.fixture(scope="module")
def knowledge(bundle: Bundle) -> tuple[KnowledgeBase, KnowledgeBase]:
    return (
        KnowledgeBase.open(bundle.path / LAYOUT.entities),
        KnowledgeBase.open(bundle.path / LAYOUT.relations),
    )


@pytest.fixture(scope="module")
def reader(bundle: Bundle, knowledge: tuple[KnowledgeBase, KnowledgeBase]) -> Served:
    opened = open_reader(
        bundle.path, backend="onnx", config=bundle.config, tokenizer=bundle.tokenizer()
    )
    return opened, KnowledgeView(entities=knowledge[0], relations=knowledge[1])


def _served(
    reader: Served, text: str, *, pretokenised: bool = False
) -> tuple[TextTokens, ReaderInput]:
    """Give the row that serving reads of a window."""
    window = Window(doc_id="d", index=0, span=Span(0, max(1, len(text))), text=text)
    options = AnnotateOptions(pretokenised=pretokenised)
    opened, view = reader
    (row,) = opened._rows([window], [WindowCandidates()], [None], view, options)
    return row.text, row.built


class Trained:
    """Makes the rows that training reads of windows, with the candidates of a small schema."""

    def __init__(self, bundle: Bundle, plain: Tokenizer, folder: Path) -> None:
        records = folder / "records.jsonl"
        write_jsonl(records, [{"id": "Q1", "name": "place", "description": "a town"}])
        build_index(records, folder / "index", encoder=None, tokenizer=plain)
        kb = KnowledgeBase.open(folder / "index")
        self._source = CandidateSource(
            view=KnowledgeView(entities=kb, relations=kb),
            retriever=WindowRetriever(None, RetrieverConfig()),
        )
        self._plain = plain
        self.layout = MarkerLayout.of(plain, n_entities=32, n_relations=24)
        self.max_tokens = bundle.config.reader.max_tokens

    def batch(
        self, texts: Sequence[str], *, typos: float = 0.0, pretokenised: bool = False
    ) -> ReaderBatch:
        data = ReaderData(
            [_example(text) for text in texts],
            tokenizer=self._plain,
            layout=self.layout,
            source=self._source,
            sampling=ReaderSampling(
                case_noise=0.0, typos=typos, pretokenised=pretokenised, max_tokens=self.max_tokens
            ),
        )
        return data.batch(range(len(data.lengths)), 0)


@pytest.fixture(scope="module")
def trained(bundle: Bundle, plain: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(bundle, plain, tmp_path_factory.mktemp("schema"))


def _example(text: str) -> Example:
    mentions = (Mention(span=Span(0, max(1, len(text))), entity_id="Q1"),)
    return Example(
        doc_id="d",
        index=0,
        text=text,
        mentions=mentions,
        triples=(),
        unknown=(),
        relations="none",
    )


def _check_readers(reader: Served, trained: Trained, texts: Sequence[str], **options: bool) -> None:
    served = {text: _served(reader, text, **options) for text in texts}
    has_tokens = [text for text in texts if len(served[text][0].ids)]
    if not has_tokens:
        return
    rows = trained.batch(texts, **options).rows
    assert [row.example.text for row in rows] == has_tokens
    for row in rows:
        tokens, built = served[row.example.text]
        for name in TextTokens.__dataclass_fields__:
            found, expected = getattr(row.text, name), getattr(tokens, name)
            assert np.array_equal(found, expected), name
        text = slice(0, built.n_text + 2)
        assert row.built.n_text == built.n_text
        assert np.array_equal(row.built.ids[text], built.ids[text])
        assert np.array_equal(row.built.types[text], built.types[text])


@pytest.mark.parametrize("pretokenised", [False, True])
def test_a_reader_is_trained_on_the_rows_that_it_serves(
    reader: Served, trained: Trained, pretokenised: bool
) -> None:
    _check_readers(reader, trained, HOSTILE, pretokenised=pretokenised)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(ANY, min_size=1, max_size=6))
def test_a_reader_is_trained_on_the_rows_that_it_serves_of_any_text(
    reader: Served, trained: Trained, texts: list[str]
) -> None:
    _check_readers(reader, trained, texts)


def test_a_mistyped_window_is_a_text_like_any_other(reader: Served, trained: Trained) -> None:
    rows = trained.batch([text for text in HOSTILE if text.strip()], typos=1.0).rows
    assert any(row.example.text not in HOSTILE for row in rows)
    for row in rows:
        tokens, _ = _served(reader, row.example.text)
        assert np.array_equal(row.text.ids, tokens.ids)
        assert np.array_equal(row.text.types, tokens.types)
        assert np.array_equal(row.text.starts, tokens.starts)


def test_windows_are_counted_as_they_are_read(reader: Served) -> None:
    counts = [len(_served(reader, text)[0].ids) for text in HOSTILE]
    assert reader[0].count_text_tokens(HOSTILE) == counts


def test_a_teacher_of_readers_reads_its_students_tokens(plain: Tokenizer, trained: Trained) -> None:
    batch = trained.batch(HOSTILE)
    maker = RowMaker(
        tokenizer=TextTokenizer(plain), layout=trained.layout, max_tokens=trained.max_tokens
    )
    rows = maker.rows(batch.rows, batch.arrays.ids.shape[1])
    assert np.array_equal(rows.arrays.ids, batch.arrays.ids)
    assert np.array_equal(rows.arrays.types, batch.arrays.types)


def _encoded(bundle: Bundle, texts: Sequence[str]) -> list[list[int]]:
    """Give the ids that the query encoder reads of each text when it serves."""
    recorder = Recorder()
    encoder = TransformerEncoder(recorder, recorder, bundle.tokenizer(), max_tokens=MOST)  # type: ignore[arg-type]  # a table that records
    rows = []
    for text in texts:
        encoder.encode([text])
        rows.append(recorder.ids[0].tolist())
    return rows


def _retriever_rows(plain: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    data = RetrieverData(
        [_example(text) for text in texts],
        knowledge=(Records([{"id": "Q1", "name": "place"}]), Records([])),
        tokenizer=plain,
        sampling=RetrieverTraining(
            data="",
            backbone="",
            sources=(),
            max_tokens=MOST,
            passage_tokens=MOST,
            hard_negatives=0,
            name_dropout=0.0,
            relation_negatives=0,
            seed=1,
        ),
    )
    return data.windows


def test_an_encoder_is_trained_on_the_rows_that_it_serves(bundle: Bundle, plain: Tokenizer) -> None:
    assert _retriever_rows(plain, HOSTILE) == _encoded(bundle, HOSTILE)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(ANY, min_size=1, max_size=6))
def test_an_encoder_is_trained_on_the_rows_that_it_serves_of_any_text(
    bundle: Bundle, plain: Tokenizer, texts: list[str]
) -> None:
    assert _retriever_rows(plain, texts) == _encoded(bundle, texts)


def test_an_encoder_of_relations_is_trained_on_the_rows_that_it_serves(
    bundle: Bundle, plain: Tokenizer
) -> None:
    relation = Entity(entity_id="P1", name="born [SEP] in", description="where a per-\nson was")
    pairs = [RelatedPair(doc_id="d", text=text, relation="P1") for text in HOSTILE]
    data = RelationData(
        pairs,
        relations=[relation],
        tokenizer=plain,
        sampling=RelationSampling(max_tokens=MOST, relation_tokens=MOST, other_words=0.0),
    )
    for place, expected in enumerate(_encoded(bundle, HOSTILE)):
        windows = data.batch([place], 0).windows
        assert windows.ids[0].tolist() == expected
    assert data.batch([0], 0).passages.ids.tolist() == _encoded(bundle, [encoder_text(relation)])


def test_a_teacher_of_encoders_reads_what_its_student_reads(
    bundle: Bundle, plain: Tokenizer
) -> None:
    model = RecordingModel()
    table = torch.arange(plain.get_vocab_size(), dtype=torch.float32)[:, None]
    teacher = EncoderTeacher(
        model=model,  # type: ignore[arg-type]  # a model that records
        table=table,
        tokenizer=TextTokenizer(plain),
        fingerprint="",
    )
    for text, expected in zip(HOSTILE, _encoded(bundle, HOSTILE), strict=True):
        teacher.encode([text], MOST)
        assert model.ids[0].tolist() == expected


def test_a_record_has_the_tokens_of_its_text(
    bundle: Bundle, plain: Tokenizer, tmp_path: Path
) -> None:
    names = [name for name in HOSTILE if name.strip() and name.isprintable()]
    write_jsonl(
        tmp_path / "records.jsonl",
        [{"id": f"Q{k}", "name": name, "description": "x [SEP]"} for k, name in enumerate(names)],
    )
    options = BuildOptions(candidate_tokens=MOST)
    for tokenizer in (plain, bundle.tokenizer()):
        out = tmp_path / f"index-{tokenizer.encode_special_tokens}"
        build_index(
            tmp_path / "records.jsonl", out, encoder=None, tokenizer=tokenizer, options=options
        )
        kb = KnowledgeBase.open(out)
        texts = [candidate_text(kb.record(row)) for row in range(len(kb))]
        expected = TextTokenizer(plain).tokenise(texts)
        for row, encoding in enumerate(expected):
            assert kb.token_ids(row).tolist() == encoding.ids[:MOST]


@pytest.mark.parametrize("name", ["entities", "relations"])
def test_the_shipped_index_has_the_tokens_that_it_would_be_built_with(
    bundle: Bundle, knowledge: tuple[KnowledgeBase, KnowledgeBase], name: str
) -> None:
    kb = knowledge[name == "relations"]
    every = range(0, len(kb), max(1, len(kb) // 500))
    texts = [candidate_text(kb.record(row)) for row in every]
    for row, encoding in zip(every, TextTokenizer(bundle.tokenizer()).tokenise(texts), strict=True):
        known = kb.token_ids(row).tolist()
        assert encoding.ids[: len(known)] == known


ALLOWED = {
    "relik/text.py": "is the entrance",
    "relik/upstream/": "released models read texts as upstream gives them to its tokenizers",
    "index/relik_index/convert/models.py": "samples of texts for the rounding of released models",
}
"""Modules, and folders of modules, that ask tokenizers themselves, and why."""
OPENERS = ("Tokenizer", "Tokenizer.from_str", "Tokenizer.from_file", "open_tokenizer")
BATCHES = ("encode_batch", "encode_batch_fast", "encode_special_tokens")


def _goes_round(tree: ast.AST) -> list[str]:
    """Find where a module asks a tokenizer for tokens, or says what special tokens are to it."""
    names = _raw_tokenizers(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            asked = node.attr == "encode" and _is_raw(node.value, names)
            bad = asked or node.attr in BATCHES
        elif isinstance(node, ast.Call):
            # `bundle.tokenizer()` opens one.
            called = isinstance(node.func, ast.Name) or _last(node.func) != "tokenizer"
            bad = called and not isinstance(node.func, ast.Call) and _is_raw(node.func, names)
        else:
            continue
        if bad:
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


def _raw_tokenizers(tree: ast.AST) -> set[str]:
    """Give the names that a module has for tokenizers of the library, annotated or assigned."""
    names = {"tokenizer", "_tokenizer"}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation is not None:
            if ast.unparse(node.annotation) == "Tokenizer":
                names.add(node.arg)
        elif isinstance(node, ast.AnnAssign):
            if ast.unparse(node.annotation) == "Tokenizer":
                names.add(_last(node.target))
        elif isinstance(node, ast.Assign) and _opens(node.value):
            names.update(map(_last, node.targets))
    return names


def _is_raw(node: ast.expr, names: set[str]) -> bool:
    named = isinstance(node, ast.Name | ast.Attribute) and _last(node) in names
    return named or _opens(node)


def _opens(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    opener = ast.unparse(node.func)
    return opener in OPENERS or opener.endswith(".tokenizer")


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ast.unparse(node)


@pytest.mark.parametrize(
    "source",
    [
        "def f(words: Tokenizer): return words.encode('a').ids",
        "class A:\n    words: Tokenizer\n    def f(self): return self.words.encode('a')",
        "words = Tokenizer.from_file('x')\nwords.encode('a')",
        "bundle.tokenizer().encode('a')",
        "def f(self): return self.parts.tokenizer.encode('a')",
        "anything.encode_batch(['a'])",
        "anything.encode_special_tokens = True",
        "tokenizer('a')",
    ],
)
def test_a_way_round_is_found(source: str) -> None:
    assert _goes_round(ast.parse(source))


def test_other_encoders_and_strings_are_no_way_round() -> None:
    source = "tokens = TextTokenizer(bundle.tokenizer()).tokenise(['a'])\n"
    source += "encoder.encode(['a']); text.encode('utf-8'); tokenizer.to_str().encode()"
    assert not _goes_round(ast.parse(source))


def test_no_module_goes_round_the_entrance() -> None:
    found = {}
    for path in (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))):
        name = path.relative_to(ROOT).as_posix()
        ways = _goes_round(ast.parse(path.read_text(encoding="utf-8")))
        if ways and not name.startswith(tuple(ALLOWED)):
            found[name] = ways
    assert not found


@pytest.mark.parametrize("allowed", ALLOWED)
def test_an_exception_is_still_needed(allowed: str) -> None:
    paths = (ROOT / allowed).rglob("*.py") if allowed.endswith("/") else [ROOT / allowed]
    assert any(_goes_round(ast.parse(path.read_text(encoding="utf-8"))) for path in paths)
