"""`Relik` answers what upstream answers, and works or refuses clearly where upstream failed."""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

for _library in ("torch", "transformers", "spacy", "yaml"):
    pytest.importorskip(_library)

from relik.errors import (  # noqa: E402  # needs torch
    BundleCorruptError,
    BundleError,
    BundleNotFoundError,
    ConfigError,
    DimensionMismatchError,
    InputError,
    RelikError,
    TextTooLongError,
)
from relik.upstream.dropin.outputs import RelikOutput  # noqa: E402  # needs torch
from relik.upstream.dropin.relik import Relik  # noqa: E402  # needs torch
from relik.upstream.index.documents import Document  # noqa: E402  # needs torch

TEXT = "Marie Curie was born in Warsaw and worked at the University of Paris with Pierre Curie."
LONG = (
    "Alan Turing worked at Bletchley Park on the Enigma machine. Ada Lovelace wrote about the "
    "Analytical Engine of Charles Babbage in London. Napoleon lost the Battle of Waterloo in "
    "Belgium. Jeff Bezos founded Amazon in Seattle. Steve Jobs founded Apple Inc. in Cupertino."
)
FORGED = "[E-0] [R-1] --NME-- [SEP] [CLS] [MASK] literal special tokens about Rome and Paris"

Open = Callable[..., Any]


def listed(answer: Any) -> list[RelikOutput]:
    return answer if isinstance(answer, list) else [answer]


def test_quirks_answer_what_upstream_answered(released: Any, parity: ModuleType) -> None:
    relik = Relik.from_pretrained(released.folder, quirks=True)
    classes: Counter[str] = Counter()
    for case in released.cases:
        where = case["variant"], case["tag"]
        try:
            answer = relik(case["text"], **case["kwargs"])
        except RelikError:
            assert "error" in case, where
            continue
        if "error" not in case:
            found = parity.classify(case, answer)
            assert found != "unlike", where
            classes[found] += 1
    assert classes["equal"] > len(released.cases) / 3
    assert classes["candidates_tie"] <= len(released.cases) / 10


def test_every_difference_from_upstream_is_of_a_kind_that_is_known(
    released: Any, parity: ModuleType
) -> None:
    relik = Relik.from_pretrained(released.folder)
    quirky = Relik.from_pretrained(released.folder, quirks=True)
    counts = parity.count_without(relik, quirky, released.cases)
    differences = counts["differences"]
    assert differences["unexplained"] == {"outputs": 0, "items": 0}
    assert differences["overlap"]["outputs"]
    assert counts["outputs"] == counts["equal"] + counts["order_of_ties"] + counts["differ"]
    assert max(kind["outputs"] for kind in differences.values()) <= counts["differ"]
    assert counts["only_upstream"] == 0
    blank = [
        text
        for case in released.cases
        for text in ([case["text"]] if isinstance(case["text"], str) else case["text"])
        if "error" not in case and not text.strip()
    ]
    assert counts["only_here"] == len(blank)


def test_the_command_counts_each_call_once(
    pipelines: dict[str, Path], tmp_path: Path, parity: ModuleType
) -> None:
    folder = pipelines["tiny-re"]
    golden = folder.parent / "golden" / "tiny-re.json.gz"
    (tmp_path / "golden").mkdir()
    shutil.copyfile(golden, tmp_path / "golden" / golden.name)
    shutil.copytree(folder, tmp_path / "tiny-re")
    counts = parity.count(tmp_path)
    for ways in counts.values():
        assert ways["all"] == ways["tiny-re"]
    quirks, without = counts["with_quirks"]["all"], counts["without_quirks"]["all"]
    assert quirks["calls"] == sum(quirks[name] for name in parity.CLASSES)
    assert quirks["differ"] == sum(quirks["reasons"].values())
    assert without["calls"] == quirks["calls"] - quirks["upstream_failed"]
    assert quirks["both_failed"] == quirks["we_failed"] == 0


def test_without_quirks_every_case_is_answered_in_order_and_as_json(released: Any) -> None:
    relik = Relik.from_pretrained(released.folder)
    for case in released.cases:
        answer = relik(case["text"], **case["kwargs"])
        texts = case["text"] if isinstance(case["text"], list) else [case["text"]]
        assert isinstance(answer, list) == isinstance(case["text"], list)
        assert [one.text for one in listed(answer)] == texts
        for one in listed(answer):
            json.dumps(one.to_dict())
            words = case["kwargs"].get("annotation_type") == "word"
            for span in one.spans:
                assert span.start < span.end
                assert words or one.text[span.start : span.end] == span.text
            if "mentions" not in case["kwargs"]:
                pairs = zip(one.spans, one.spans[1:], strict=False)
                assert all(a.end <= b.start for a, b in pairs)
            assert {end for t in one.triplets for end in (t.subject, t.object)} <= set(one.spans)
            keys = [(t.subject, t.label, t.object) for t in one.triplets]
            assert len(keys) == len(set(keys))


@pytest.mark.parametrize("task", ["el", "re", "cie"])
def test_an_answer_does_not_depend_on_what_else_is_asked(open_relik: Open, task: str) -> None:
    relik = open_relik(task)
    texts = [TEXT, "", FORGED, LONG, "Rome"]
    together = relik(texts)
    for number, (text, one) in enumerate(zip(texts, together, strict=True)):
        alone = relik(text)
        assert (one.id, alone.id) == (number, 0)
        assert [s[:3] for s in one.spans] == [s[:3] for s in alone.spans]


# One text, many texts, no text.


def test_one_text_gives_one_answer_and_a_list_of_one_a_list(open_relik: Open) -> None:
    relik = open_relik("el")
    assert isinstance(relik(TEXT), RelikOutput)
    (only,) = relik([TEXT])
    assert only == relik(TEXT)
    assert relik([]) == []


@pytest.mark.parametrize("task", ["el", "re", "cie"])
def test_an_empty_text_keeps_its_place(open_relik: Open, task: str) -> None:
    relik = open_relik(task)
    empty = relik("")
    assert (empty.text, empty.tokens, empty.spans, empty.triplets) == ("", [], [], [])
    answers = relik(["", "Rome is old.", ""])
    assert [one.text for one in answers] == ["", "Rome is old.", ""]
    assert [one.id for one in answers] == [0, 1, 2]
    json.dumps([one.to_dict() for one in answers])


def test_quirks_give_no_answer_for_a_text_without_tokens(open_relik: Open) -> None:
    relik = open_relik("el", quirks=True)
    assert relik([""]) == []
    assert relik(["", "Rome is old."]).id == 1


# Windows.


def test_the_kind_of_windows_may_change_from_call_to_call(open_relik: Open) -> None:
    relik = open_relik("el")
    counts = []
    for size in ("none", "sentence", 16, "none", 32, "sentence", None):
        answer = relik(LONG, window_size=size, return_windows=True)
        counts.append(len(answer.windows))
    assert counts == [1, 5, counts[2], 1, counts[4], 5, counts[4]]
    assert counts[2] > counts[4] > 1


def test_sentences_need_no_download(open_relik: Open) -> None:
    answer = open_relik("re")(
        "Rome is old. Paris is not.", window_size="sentence", return_windows=True
    )
    assert [window.text for window in answer.windows] == ["Rome is old.", "Paris is not."]
    assert answer.text == "Rome is old. Paris is not."


def test_windows_that_were_given_back_can_be_given_again(open_relik: Open) -> None:
    for task in ("el", "re", "cie"):
        relik = open_relik(task)
        first = relik([LONG, TEXT], return_windows=True)
        windows = [window for one in first for window in one.windows]
        records = json.loads(json.dumps([window.to_dict() for window in windows]))
        for given in (windows, records):
            again = relik([LONG, TEXT], windows=given)
            assert [one.spans for one in again] == [one.spans for one in first]
            alone = relik(windows=given)
            assert [one.text for one in alone] == [LONG, TEXT]
            assert [one.triplets for one in alone] == [one.triplets for one in first]


def test_windows_of_another_text_are_refused(open_relik: Open) -> None:
    relik = open_relik("el")
    windows = relik(LONG, return_windows=True).windows
    with pytest.raises(InputError, match="expected the text of document"):
        relik(TEXT, windows=windows)
    with pytest.raises(InputError, match="expected one of the 0 texts"):
        relik([], windows=windows)
    with pytest.raises(InputError, match="no text and no windows"):
        relik()


def test_windows_can_be_written_as_json(open_relik: Open) -> None:
    for quirks in (False, True):
        answer = open_relik("cie", quirks=quirks)(LONG, return_windows=True)
        written = json.loads(json.dumps(answer.to_dict()))
        assert [window["text"] for window in written["windows"]] == [
            window.text for window in answer.windows
        ]
        assert len(written["windows"][0]["span_candidates"]) == len(answer.candidates.span[0][0])


@pytest.mark.parametrize("task", ["el", "re", "cie"])
def test_a_text_longer_than_the_reader_is_read_in_parts(open_relik: Open, task: str) -> None:
    relik = open_relik(task)
    text = LONG * 2
    answer = relik(text, window_size="none", max_length=100)
    assert answer.text == text
    json.dumps(answer.to_dict())
    with pytest.raises(TextTooLongError):
        open_relik(task, quirks=True)(text, window_size="none", max_length=100)


def test_no_length_of_rows_hangs_or_fails_but_clearly(open_relik: Open) -> None:
    for quirks in (False, True):
        relik = open_relik("el", quirks=quirks)
        for max_length in range(36, 56):
            try:
                relik(TEXT, max_length=max_length)
            except TextTooLongError:
                assert quirks or max_length < 40
    with pytest.raises(TextTooLongError, match="the word"):
        open_relik("el")(TEXT, max_length=5)


# Candidates.


@pytest.mark.parametrize("task", ["re", "cie"])
def test_candidates_of_several_windows_stay_apart(open_relik: Open, task: str) -> None:
    answer = open_relik(task)(LONG, return_windows=True)
    (lines,) = answer.candidates.triplet
    assert len(lines) == len(answer.windows) > 1
    assert all(isinstance(one, Document) for line in lines for one in line)
    json.dumps(answer.to_dict())


@pytest.mark.parametrize("top_k", [0, -1, 2.5, True])
def test_no_top_k_is_a_clear_error(open_relik: Open, top_k: Any) -> None:
    with pytest.raises(InputError, match="got top_k"):
        open_relik("el")(TEXT, top_k=top_k)


def test_top_k_of_the_call_counts(open_relik: Open) -> None:
    assert len(open_relik("el")("Rome", top_k=3).candidates.span[0][0]) == 3


def test_no_candidates_give_no_mentions(open_relik: Open) -> None:
    for quirks in (False, True):
        assert open_relik("el", quirks=quirks)(TEXT, candidates=[]).spans == []
        answer = open_relik("re", quirks=quirks)(TEXT, candidates=[])
        assert answer.triplets == []
        assert answer.candidates.triplet == [[[]]]


def test_given_candidates_are_not_retrieved(open_relik: Open) -> None:
    names = ["Marie Curie", "Warsaw"]
    answer = open_relik("el")(TEXT, candidates=[Document(name, i) for i, name in enumerate(names)])
    assert [one.text for one in answer.candidates.span[0][0]] == names
    assert {span.label for span in answer.spans} <= set(names)
    both = open_relik("cie")(TEXT, candidates={"span": names})
    assert [one.text for one in both.candidates.span[0][0]] == names
    assert len(both.candidates.triplet[0][0]) > 2


# Mentions.


@pytest.mark.parametrize("task", ["el", "re", "cie"])
def test_mentions_are_in_code_points_for_every_task(open_relik: Open, task: str) -> None:
    mentions = [[0, 11], [24, 30], [49, 68]]
    options = {"remove_nmes": False} if task == "el" else {}
    answer = open_relik(task)(TEXT, mentions=mentions, **options)
    assert [[span.start, span.end] for span in answer.spans] == mentions
    assert [span.text for span in answer.spans] == ["Marie Curie", "Warsaw", "University of Paris"]


def test_mentions_in_words_go_with_answers_in_words(open_relik: Open) -> None:
    answer = open_relik("re")(TEXT, mentions=[[0, 2], [5, 6]], annotation_type="word")
    assert [(s.start, s.end, s.text) for s in answer.spans] == [
        (0, 2, "Marie Curie"),
        (5, 6, "Warsaw"),
    ]


def test_windows_without_a_mention_are_left_out(open_relik: Open) -> None:
    relik = open_relik("el")
    start = LONG.index("Seattle")
    answer = relik(LONG, mentions=[[start, start + 7]], remove_nmes=False, return_windows=True)
    assert [span.text for span in answer.spans] == ["Seattle"]
    read = [bool(line) for line in answer.candidates.span[0]]
    assert read == ["Seattle" in window.text for window in answer.windows]
    assert not all(read)
    assert relik(LONG, mentions=[]).spans == []


def test_a_mention_that_no_window_has_whole_is_refused(open_relik: Open) -> None:
    with pytest.raises(InputError, match="expected a window that contains it"):
        open_relik("el")(LONG, mentions=[[0, len(LONG)]])


# Words.


@pytest.mark.parametrize("task", ["el", "re", "cie"])
def test_answers_in_words_can_be_written_as_json(open_relik: Open, task: str) -> None:
    for quirks in (False, True):
        answer = open_relik(task, quirks=quirks)(LONG, annotation_type="word")
        written = json.loads(json.dumps(answer.to_dict()))
        for start, end, _, text in written["spans"]:
            assert (
                text.split() == "".join(answer.tokens[start:end]).split()
                or start >= end
                or ("".join(text.split()) == "".join(answer.tokens[start:end]))
            )


@pytest.mark.parametrize("task", ["el", "re", "cie"])
def test_words_that_are_given_have_text_and_offsets(open_relik: Open, task: str) -> None:
    words = TEXT.split()
    relik = open_relik(task)
    answer = relik(words, is_split_into_words=True)
    assert answer.text == " ".join(words)
    assert answer.tokens == words
    assert all(answer.text[s.start : s.end] == s.text for s in answer.spans)
    several = relik([words, ["Rome"]], is_split_into_words=True)
    assert [one.text for one in several] == [" ".join(words), "Rome"]
    counted = relik(words, is_split_into_words=True, annotation_type="word")
    assert all(" ".join(words[s.start : s.end]) == s.text for s in counted.spans)


# Markers in the text.


@pytest.mark.parametrize("task", ["el", "re", "cie"])
def test_markers_in_a_text_are_text_and_harm_no_other(open_relik: Open, task: str) -> None:
    relik = open_relik(task)
    alone = relik(TEXT)
    together = relik([TEXT, FORGED])
    assert [s[:3] for s in together[0].spans] == [s[:3] for s in alone.spans]
    offered = {one.text for lines in together[1].candidates.span for line in lines for one in line}
    assert {span.label for span in together[1].spans} <= offered | {"--NME--"}


# Arguments.


def test_unknown_arguments_are_refused_with_the_nearest_name(open_relik: Open) -> None:
    relik = open_relik("el")
    with pytest.raises(TypeError, match="did you mean 'relation_threshold'"):
        relik(TEXT, relation_treshold=0.5)
    with pytest.raises(TypeError, match="'colour', use one of top_k"):
        relik(TEXT, colour="red")
    with pytest.raises(TypeError, match="windowsize"):
        Relik.from_pretrained("x", windowsize=3)  # type: ignore[call-arg]  # the point of the test


@pytest.mark.parametrize(
    "options",
    [
        {"annotation_type": "token"},
        {"relation_threshold": 1.5},
        {"reader_batch_size": 0},
        {"retriever_batch_size": -1},
        {"max_length": 0},
        {"num_workers": -1},
        {"window_size": 0},
        {"window_size": 8, "window_stride": 9},
        {"window_size": "sentence", "window_stride": 2},
    ],
)
def test_options_out_of_range_are_refused(open_relik: Open, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="got"):
        open_relik("el")(TEXT, **options)


def test_every_option_of_upstream_is_taken(open_relik: Open, capsys: Any) -> None:
    relik = open_relik("cie")
    plain = relik(LONG)
    same_answer = relik(
        text=LONG,
        windows=None,
        candidates=None,
        mentions=None,
        top_k=None,
        window_size=None,
        window_stride=None,
        is_split_into_words=False,
        retriever_batch_size=2,
        reader_batch_size=2,
        return_windows=False,
        use_doc_topic=False,
        annotation_type="char",
        progress_bar=True,
        num_workers=4,
        relation_threshold=None,
        remove_nmes=True,
        precision=32,
    )
    assert [s[:3] for s in same_answer.spans] == [s[:3] for s in plain.spans]
    assert relik(LONG, relation_threshold=1.0).triplets == []
    assert relik(LONG, precision="bf16").text == LONG
    with pytest.raises(ConfigError, match="expected 32, 16 or bf16"):
        relik(LONG, precision=8)


def test_the_topic_of_a_text_is_its_own_first_token(open_relik: Open) -> None:
    for quirks, expected in ((False, ["Rome", "Paris"]), (True, ["Rome", "Rome"])):
        relik = open_relik("el", quirks=quirks)
        texts = ["Rome is old.", "Paris is not."]
        answers = relik(texts, use_doc_topic=True, return_windows=True)
        assert [one.windows[0].doc_topic for one in answers] == expected
        ids = [[d.id for d in one.candidates.span[0][0]] for one in answers]
        plain = [[d.id for d in one.candidates.span[0][0]] for one in relik(texts)]
        assert ids != plain


# Opening.


@pytest.fixture
def copied(open_relik: Open, pipelines: dict[str, Path], tmp_path: Path) -> Path:
    """A pipeline of entity linking that a test may change."""
    open_relik("el")
    name = next(name for name in pipelines if name.endswith("-el"))
    return Path(
        shutil.copytree(pipelines[name], tmp_path / "pipeline", copy_function=shutil.copyfile)
    )


def test_a_pipeline_has_upstreams_parts(open_relik: Open) -> None:
    single, both = open_relik("el"), open_relik("cie")
    assert single.task == "span"
    assert single.retriever.encode(["Rome"]).shape == (1, single.index.dim)
    assert set(both.retriever) == set(both.index) == {"span", "triplet"}
    assert both.reader.kind == "triplet"


def test_parts_and_settings_can_be_given_in_place_of_the_stated(copied: Path) -> None:
    own = copied.parent / "own-index"
    (copied / "index-span").rename(own)
    with pytest.raises(BundleNotFoundError, match="index-span"):
        Relik.from_pretrained(copied)
    relik = Relik.from_pretrained(
        copied,
        index={"span": {"name_or_path": str(own)}},
        top_k=5,
        window_size="none",
        window_stride=None,
        metadata_fields=["definition"],
        use_nme=True,
        device="cpu",
        precision="fp32",
    )
    answer = relik(LONG, return_windows=True)
    assert len(answer.windows) == 1
    assert len(answer.candidates.span[0][0]) == 5
    document = answer.candidates.span[0][0][0]
    assert answer.windows[0].span_candidates[0] == document.text + document.metadata["definition"]
    kwargs = Relik.from_pretrained(copied, index_kwargs={"name_or_path": str(own)}, top_k=2)
    assert len(kwargs("Rome").candidates.span[0][0]) == 2


def test_metadata_can_be_skipped_and_faiss_asked_for(copied: Path) -> None:
    plain = Relik.from_pretrained(copied)("Rome")
    bare = Relik.from_pretrained(copied, skip_metadata=True, use_faiss=True)("Rome")
    assert bare.candidates.span[0][0][0].metadata == {}
    assert [d.id for d in bare.candidates.span[0][0]] == [d.id for d in plain.candidates.span[0][0]]
    assert bare.spans == plain.spans


def test_half_precision_on_a_cpu_is_single_as_upstream_has_it(copied: Path) -> None:
    assert Relik.from_pretrained(copied, precision=16, device="cpu")(LONG) == (
        Relik.from_pretrained(copied)(LONG)
    )
    assert Relik.from_pretrained(copied, reader_precision="bf16")(LONG).text == LONG
    with pytest.raises(ConfigError, match="expected 32, 16 or bf16"):
        Relik.from_pretrained(copied, index_precision="int4")
    with pytest.raises(ConfigError, match="got the device"):
        Relik.from_pretrained(copied, index_device="gpu")


def test_the_first_dimensions_of_a_wider_encoder_search_a_matryoshka_index(copied: Path) -> None:
    import torch

    vectors = torch.load(copied / "index-span" / "embeddings.pt", weights_only=True)
    torch.save(vectors[:, :8].clone(), copied / "index-span" / "embeddings.pt")
    with pytest.raises(DimensionMismatchError, match="matryoshka"):
        Relik.from_pretrained(copied)("Rome")
    truncated = Relik.from_pretrained(copied, quirks=True)("Rome").candidates
    wider = Relik.from_pretrained(copied, index_kwargs={"matryoshka": True})
    assert wider("Rome").candidates == truncated
    (copied / "encoder-span").rename(copied / "encoder-wikipedia-matryoshka")
    config = (copied / "config.yaml").read_text()
    config = config.replace("encoder-span", "encoder-wikipedia-matryoshka")
    (copied / "config.yaml").write_text(config)
    named = Relik.from_pretrained(copied)
    assert named("Rome").candidates == truncated
    named.save_pretrained(copied / "saved", save_weights=True)
    assert Relik.from_pretrained(copied / "saved")("Rome").candidates == truncated


def test_what_a_plain_install_lacks_is_named(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, library in (("yaml", "PyYAML"), ("torch", "torch")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            for module in ("query_encoder", "document_index"):
                patch.delitem(sys.modules, f"relik.upstream.index.{module}", raising=False)
            with pytest.raises(ConfigError, match=f"got no {library}.*relik-server.upstream"):
                Relik.from_pretrained(copied)


def test_a_part_can_be_dropped(copied: Path) -> None:
    retrieving = Relik.from_pretrained(copied, reader=None)
    answer = retrieving("Rome")
    assert (retrieving.reader, answer.spans) == (None, [])
    assert answer.candidates.span[0][0]
    reading = Relik.from_pretrained(copied, retriever=None, index=None)
    assert reading.retriever is None
    assert reading(TEXT, candidates=["Warsaw"]).text == TEXT
    with pytest.raises(ConfigError, match="no candidates and no retriever for 'span'"):
        reading(TEXT)


def test_a_pipeline_of_the_hub_is_found_again_and_may_name_no_folder_of_this_machine(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytest.importorskip("huggingface_hub.constants"), "HF_HUB_OFFLINE", True)
    commit = "0" * 40
    kept = copied.parent / "cache" / "models--org--pipeline"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text(commit)
    snapshot = Path(shutil.copytree(copied, kept / "snapshots" / commit))
    cache = {"cache_dir": copied.parent / "cache"}
    expected = Relik.from_pretrained(copied)(TEXT)
    for name in ("org/pipeline", f"org/pipeline@{commit}"):
        assert Relik.from_pretrained(name, **cache)(TEXT) == expected
    config = (copied / "config.yaml").read_text()
    for part in ("encoder-span", "index-span", "reader"):
        hostile = config.replace(f": {part}\n", f": {copied / part}\n")
        assert hostile != config
        (snapshot / "config.yaml").write_text(hostile)
        with pytest.raises(BundleError, match="must not read other files"):
            Relik.from_pretrained("org/pipeline", **cache)


def test_a_backbone_that_the_reader_does_not_name_can_be_given(
    copied: Path, tmp_path: Path
) -> None:
    import yaml

    (copied / "backbone").rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="give the folder that holds its config"):
        Relik.from_pretrained(copied)
    relik = Relik.from_pretrained(copied, reader_kwargs={"backbone": str(tmp_path / "elsewhere")})
    relik.save_pretrained(tmp_path / "saved", save_weights=True)
    assert Relik.from_pretrained(tmp_path / "saved")(TEXT) == relik(TEXT)
    values = yaml.safe_load((copied / "config.yaml").read_text())
    values["reader"]["backbone"] = "../elsewhere"
    (copied / "config.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(BundleError, match="expected one in its own folder"):
        Relik.from_pretrained(copied)


def test_parts_that_are_open_make_a_pipeline(open_relik: Open) -> None:
    opened = open_relik("el")
    relik = Relik(
        opened.retriever,
        {"SPAN": opened.index},
        opened.reader,
        task="SPAN",
        window_size=32,
        window_stride=16,
    )
    assert relik(LONG) == opened(LONG)


def test_parts_that_do_not_go_together_are_refused(open_relik: Open) -> None:
    linking, both = open_relik("el"), open_relik("cie")
    with pytest.raises(ConfigError, match="expected one of triplets"):
        Relik(reader=linking.reader, task="both")
    with pytest.raises(ConfigError, match="without the other"):
        Relik(retriever=both.retriever, index={"span": linking.index}, task="both")


# Saving.


@pytest.mark.parametrize("task", ["el", "re", "cie"])
@pytest.mark.parametrize("save_weights", [False, True])
def test_what_was_saved_answers_the_same(
    open_relik: Open, tmp_path: Path, task: str, save_weights: bool
) -> None:
    relik = open_relik(task)
    relik.save_pretrained(tmp_path / "saved", save_weights=save_weights)
    moved = tmp_path / "moved"
    (tmp_path / "saved").rename(moved)
    again = Relik.from_pretrained(moved)
    assert again(LONG) == relik(LONG)
    assert again.settings == relik.settings
    names = {path.name for path in moved.iterdir()}
    assert (names == {"config.yaml"}) != save_weights
    assert not list(moved.rglob("*.py"))
    if save_weights:
        assert str(tmp_path) not in (moved / "config.yaml").read_text()


def test_a_changed_index_is_saved_as_it_is(copied: Path, tmp_path: Path) -> None:
    relik = Relik.from_pretrained(copied)
    best = relik("Rome").candidates.span[0][0][0]
    relik.index.delete(best)
    relik.index.add([Document("Atlantis", "Q1")], relik.retriever.encode(["Rome"]) * 9)
    expected = relik("Rome").candidates.span[0][0]
    assert best not in expected
    assert expected[0] == Document("Atlantis", "Q1")
    relik.save_pretrained(tmp_path / "saved", save_weights=True)
    again = Relik.from_pretrained(tmp_path / "saved")
    assert again("Rome").candidates.span[0][0] == expected


def test_a_part_without_files_cannot_be_named(open_relik: Open, tmp_path: Path) -> None:
    opened = open_relik("el")
    with pytest.raises(ConfigError, match="an open retriever, expected one that has a folder"):
        Relik(opened.retriever, opened.index).save_pretrained(tmp_path)


def test_a_pipeline_is_pushed_without_code(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    (copied / "reader" / "modeling_relik.py").write_text("raise SystemExit\n")
    pushed: dict[str, Any] = {}

    class Hub:
        def __init__(self, token: str | None) -> None:
            pushed["token"] = token

        def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
            pushed["repository"] = repo_id, private, exist_ok

        def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> str:
            shutil.copytree(folder_path, tmp_path / "hub")
            return f"https://example.org/{repo_id}"

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    relik = Relik.from_pretrained(copied)
    assert relik.push_to_hub("org/mine", private=True, token="t") == "https://example.org/org/mine"
    assert pushed == {"token": "t", "repository": ("org/mine", True, True)}
    assert not list((tmp_path / "hub").rglob("*.py"))
    assert Relik.from_pretrained(tmp_path / "hub")(TEXT) == relik(TEXT)


# What is downloaded may not run.


@pytest.mark.parametrize(
    "config",
    [
        "_target_: os.system\n",
        "retriever:\n  span:\n    _target_: os.system\n    question_encoder: touch mark\n",
        "reader: !!python/object/apply:os.system ['touch mark']\n",
        "index:\n  span:\n    name_or_path: ../../secret\n",
        "reader:\n  transformer_model: ../../secret\n",
    ],
)
def test_a_hostile_config_is_refused_and_runs_nothing(
    copied: Path, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copied)
    (copied / "config.yaml").write_text(config)
    (copied.parent.parent / "secret").mkdir(exist_ok=True)
    with pytest.raises((BundleError, ConfigError)):
        Relik.from_pretrained(copied)
    assert not (copied / "mark").exists()


def test_code_beside_the_data_is_not_run(copied: Path) -> None:
    mark = copied / "mark"
    for name in ("hf.py", "modeling_relik.py", "configuration_relik.py", "__init__.py"):
        for folder in (copied, copied / "reader", copied / "encoder-span", copied / "index-span"):
            (folder / name).write_text(f"open({str(mark)!r}, 'w')\n")
    assert Relik.from_pretrained(copied)("Rome").text == "Rome"
    assert not mark.exists()


def test_pickled_embeddings_are_refused_and_not_run(copied: Path) -> None:
    import torch

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (copied / "mark",)

    torch.save(Bomb(), copied / "index-span" / "embeddings.pt")
    with pytest.raises(BundleCorruptError, match=r"embeddings\.pt"):
        Relik.from_pretrained(copied)
    assert not (copied / "mark").exists()


def test_a_config_file_of_another_name_is_read_from_the_folder_alone(copied: Path) -> None:
    (copied / "config.yaml").rename(copied / "other.yaml")
    assert Relik.from_pretrained(copied, "other.yaml").task == "span"
    with pytest.raises(ConfigError, match="a name without folders"):
        Relik.from_pretrained(copied, "../config.yaml")
    with pytest.raises(BundleNotFoundError, match=r"config\.yaml"):
        Relik.from_pretrained(copied)
