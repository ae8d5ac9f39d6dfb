"""The drop-in `Relik`: released pipelines with upstream's interface, opened as data.

What crashes, hangs or is no JSON in upstream works here or raises an error of `relik.errors`. An
argument that `from_pretrained` does not get comes from `config.yaml`; None means without, such as
`retriever=None` for a pipeline whose caller passes candidates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from relik.errors import InputError
from relik.upstream.bundle.released_parts import (
    LoadOptions,
    Opener,
    OpenPart,
    check_parts,
    read_raw_settings,
)
from relik.upstream.checkpoint.files import Files, open_pipeline_folder
from relik.upstream.checkpoint.settings import (
    CONFIG,
    PipelineSettings,
    PipelineTask,
    Task,
    parse_settings,
)
from relik.upstream.dropin.call import Call, Request
from relik.upstream.dropin.caller_input import (
    read_candidates,
    read_mentions,
    read_texts,
    read_windows,
    texts_of_windows,
)
from relik.upstream.dropin.options import read_options
from relik.upstream.dropin.outputs import RelikOutput
from relik.upstream.dropin.saving import push_pipeline, save_pipeline

FROM_CONFIG: Any = ...
"""Default of arguments of `from_pretrained` that `config.yaml` sets."""


class Relik:
    """Finds entities and relations in texts with a released pipeline.

    Args:
        retriever: Encoder of windows: an open one, settings as in `config.yaml`, or a dict of
            either by task; None requires candidates in each call.
        index: Index of documents, in the same forms.
        reader: An open reader, or its settings; None only retrieves.
        task: "span" for entities, "triplet" for relations, "both" for both in one pass; upper or
            lower case.
        metadata_fields: Metadata to append to the text of a candidate, without a separator.
        top_k: Candidates per window; None is 100.
        window_size: Tokens per window, "sentence" or "none"; None is "none".
        window_stride: Tokens from one window to the next; None is `window_size`.
        device: Device of parts that are opened from settings.
        precision: Precision of these parts.
        quirks: Answer as upstream 1.0.7 does, with doubled triples, conflicting spans and ends
            before starts, for comparison.

    Raises:
        ConfigError: A setting is wrong, or parts do not fit each other.
        BundleError: A part cannot be opened.
    """

    def __init__(  # noqa: PLR0913  # upstream's signature
        self,
        retriever: Any = None,
        index: Any = None,
        reader: Any = None,
        task: Any = "span",
        metadata_fields: Sequence[str] | None = None,
        top_k: int | None = None,
        window_size: int | str | None = None,
        window_stride: int | None = None,
        *,
        device: object = None,
        precision: object = None,
        quirks: bool = False,
    ) -> None:
        values = {
            "task": task,
            "metadata_fields": metadata_fields,
            "top_k": top_k,
            "window_size": window_size,
            "window_stride": window_stride,
        }
        self._settings = parse_settings(values, where="Relik")
        options = LoadOptions(device=device, precision=precision, quirks=quirks)
        given = {"retriever": retriever, "index": index, "reader": reader}
        self._parts = Opener(self._settings.task, Files(), options).open({}, given)
        check_parts(self._parts, self._settings.task)
        self._quirks = quirks

    @classmethod
    def from_pretrained(  # noqa: PLR0913  # upstream's signature
        cls,
        model_name_or_dir: str | Path,
        config_file_name: str = CONFIG,
        *,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        device: object = None,
        retriever_device: object = None,
        index_device: object = None,
        reader_device: object = None,
        precision: object = None,
        retriever_precision: object = None,
        index_precision: object = None,
        reader_precision: object = None,
        retriever_kwargs: Mapping[str, Any] | None = None,
        index_kwargs: Mapping[str, Any] | None = None,
        reader_kwargs: Mapping[str, Any] | None = None,
        use_faiss: bool | None = None,
        skip_metadata: bool | None = None,
        use_nme: bool | None = None,
        retriever: Any = FROM_CONFIG,
        index: Any = FROM_CONFIG,
        reader: Any = FROM_CONFIG,
        task: Any = FROM_CONFIG,
        metadata_fields: Any = FROM_CONFIG,
        top_k: Any = FROM_CONFIG,
        window_size: Any = FROM_CONFIG,
        window_stride: Any = FROM_CONFIG,
        quirks: bool = False,
    ) -> "Relik":
        """Open a released pipeline, or one that `relik convert` wrote.

        Arguments are those of `Relik`, `LoadOptions` and the settings of each part.

        Args:
            model_name_or_dir: A folder, or "org/name" or "org/name@revision" on the Hub.
        """
        cache = None if cache_dir is None else Path(cache_dir)
        files = open_pipeline_folder(model_name_or_dir, cache_dir=cache, force=force_download)
        index_kwargs = {"use_faiss": use_faiss, "skip_metadata": skip_metadata} | _dict(
            index_kwargs
        )
        options = LoadOptions(
            device=device,
            precision=precision,
            devices=_name_parts(retriever_device, index_device, reader_device),
            precisions=_name_parts(retriever_precision, index_precision, reader_precision),
            kwargs=_name_parts(
                retriever_kwargs, index_kwargs, {"use_nme": use_nme} | _dict(reader_kwargs)
            ),
            quirks=quirks,
        )
        general = (task, metadata_fields, top_k, window_size, window_stride)
        return cls._open(
            files, config_file_name, _name_parts(retriever, index, reader), general, options
        )

    @classmethod
    def _open(
        cls,
        files: Files,
        config_file_name: str,
        parts: dict[str, Any],
        general: tuple[Any, ...],
        options: LoadOptions,
    ) -> "Relik":
        raw = read_raw_settings(files, config_file_name)
        names = ("task", "metadata_fields", "top_k", "window_size", "window_stride")
        given = {k: v for k, v in zip(names, general, strict=True) if v is not FROM_CONFIG}
        settings = parse_settings(raw.values | given, where=raw.where)
        parts = {name: part for name, part in parts.items() if part is not FROM_CONFIG}
        opened = Opener(settings.task, files, options).open(raw.values, parts)
        relik = cls(
            opened.retriever,
            opened.index,
            opened.reader,
            settings.task,
            settings.metadata_fields,
            settings.top_k,
            settings.window_size,
            settings.window_stride,
            quirks=options.quirks,
        )
        relik._parts = replace(relik._parts, word_tokenizer=raw.word_tokenizer)
        return relik

    @property
    def task(self) -> PipelineTask:
        """Task of the pipeline."""
        return self._settings.task

    @property
    def settings(self) -> PipelineSettings:
        """Default settings of calls: candidates, windows."""
        return self._settings

    @property
    def retriever(self) -> Any:
        """The encoder, a dict of encoders by task where there are two, or None."""
        return _unwrap(self._parts.retriever)

    @property
    def index(self) -> Any:
        """The index, a dict of indexes by task where there are two, or None."""
        return _unwrap(self._parts.index)

    @property
    def reader(self) -> Any:
        """The reader, or None."""
        return None if self._parts.reader is None else self._parts.reader.value

    def __call__(  # noqa: PLR0913  # upstream's signature
        self,
        text: Any = None,
        windows: Any = None,
        candidates: Any = None,
        mentions: Any = None,
        top_k: int | None = None,
        window_size: int | str | None = None,
        window_stride: int | None = None,
        is_split_into_words: bool = False,
        **options: Any,
    ) -> RelikOutput | list[RelikOutput]:
        """Annotate texts.

        Args:
            text: A text or a list of texts; with `is_split_into_words` a list of words or of
                such lists.
            windows: Windows to read, as `return_windows` returns them, in place of cutting the
                texts, which may then be left out.
            candidates: Candidates of a text, or a list of them for each: texts, documents or
                JSON objects; or a dict of either by "span" and "triplet". They replace retrieval.
            mentions: Start and end of each mention of a text, or a list of them for each; only
                these are linked.
            options: See `CallOptions`, for the named ones too.

        Returns:
            One answer for one text, a list for a list. With quirks a list of one answer becomes
            that answer, and a text without tokens has none.

        Raises:
            InputError: The input does not fit.
            ConfigError: The pipeline lacks a part that the call needs.
            TypeError: There is no such option; the message suggests the nearest name.
        """
        named = {"top_k": top_k, "window_size": window_size, "window_stride": window_stride}
        call_options = read_options(options, named)
        given = None if windows is None else read_windows(windows, self._parts.word_tokenizer)
        if text is not None:
            texts = read_texts(
                text, self._parts.word_tokenizer, is_split_into_words=is_split_into_words
            )
        elif given is not None:
            texts = texts_of_windows(given)
        else:
            raise InputError("got no text and no windows, expected one of them: pass one")
        words = call_options.words
        request = Request(
            texts=texts,
            windows=given,
            mentions=None if mentions is None else read_mentions(mentions, texts, words=words),
            candidates=read_candidates(candidates, texts, task=self.task),
            options=call_options,
        )
        answers = Call(self._parts, self._settings, request, quirks=self._quirks).run()
        if len(answers) == 1 and (texts.single or self._quirks):
            return answers[0]
        return answers

    def save_pretrained(
        self,
        output_dir: str | Path,
        *,
        save_weights: bool = False,
        config_file_name: str = CONFIG,
    ) -> None:
        """Write the pipeline in upstream's layout, without any code.

        Args:
            save_weights: Copy each part to a folder of its own; else `config.yaml` names the
                folders that they are in.

        Raises:
            ConfigError: A part was passed open and has no folder.
            BundleError: A file cannot be read or written.
        """
        save_pipeline(
            self._parts,
            self._settings,
            Path(output_dir),
            weights=save_weights,
            config_file_name=config_file_name,
        )

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = False,
        token: str | None = None,
        commit_message: str = "Add a ReLiK pipeline",
        save_weights: bool = True,
    ) -> str:
        """Write the pipeline to one repository of the Hugging Face Hub.

        Args:
            repo_id: "org/name"; created if it does not exist.
            token: Token of the Hub; None uses that of the login.

        Raises:
            ConfigError: As for `save_pretrained`, or huggingface_hub is not installed.
            BundleError: The Hub refused the upload.
        """
        return push_pipeline(
            lambda folder: self.save_pretrained(folder, save_weights=save_weights),
            repo_id,
            private=private,
            token=token,
            message=commit_message,
        )

    push = push_to_hub


def _unwrap(parts: Mapping[Task, OpenPart]) -> Any:
    values = {name: opened.value for name, opened in parts.items()}
    if len(values) < 2:
        return next(iter(values.values()), None)
    return values


def _name_parts(retriever: Any, index: Any, reader: Any) -> dict[str, Any]:
    return {"retriever": retriever, "index": index, "reader": reader}


def _dict(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return dict(values or {})
