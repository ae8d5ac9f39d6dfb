"""The drop-in `Relik`: released pipelines with upstream's interface, opened as data.

What crashed, hung or could not be written as JSON there works here or raises an error of
`relik.errors`. Where an argument of `from_pretrained` is left out, the pipeline's `config.yaml`
says; None there means none, as in `retriever=None` for a pipeline that is given its candidates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from relik.errors import InputError
from relik.upstream.bundle.released_parts import (
    LoadOptions,
    Opened,
    Opener,
    check_parts,
    read_stated,
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

AS_STATED: Any = ...
"""In `from_pretrained`: as `config.yaml` says."""


class Relik:
    """Finds entities and relations in texts with a released pipeline.

    Args:
        retriever: Encoder of windows: one that is open, settings as in `config.yaml`, or either
            of these by task; None for none, and then candidates must be given.
        index: Index of documents, likewise.
        reader: Reader that is open, or its settings; None to retrieve only.
        task: "span" for entities, "triplet" for relations, "both" for entities and relations in
            one reading; in any case.
        metadata_fields: Metadata that follow the text of a candidate, without a separator.
        top_k: Candidates per window; None is 100.
        window_size: Tokens per window, "sentence" or "none"; None is "none".
        window_stride: Tokens from one window to the next; None is `window_size`.
        device: Where parts run that settings are given of.
        precision: Numbers that they compute with.
        quirks: Answer as upstream 1.0.7 does, doubled triples, conflicting spans and ends before
            starts included; for comparison.

    Raises:
        ConfigError: A setting is wrong, or parts do not go together.
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
        retriever: Any = AS_STATED,
        index: Any = AS_STATED,
        reader: Any = AS_STATED,
        task: Any = AS_STATED,
        metadata_fields: Any = AS_STATED,
        top_k: Any = AS_STATED,
        window_size: Any = AS_STATED,
        window_stride: Any = AS_STATED,
        quirks: bool = False,
    ) -> "Relik":
        """Open a pipeline: a folder, or "org/name" or "org/name@revision" on the Hub.

        It is a released one, or one that `relik convert` wrote.

        See `Relik`, `LoadOptions` and the settings of each part for what the arguments mean.
        """
        cache = None if cache_dir is None else Path(cache_dir)
        files = open_pipeline_folder(model_name_or_dir, cache_dir=cache, force=force_download)
        index_kwargs = {"use_faiss": use_faiss, "skip_metadata": skip_metadata} | _dict(
            index_kwargs
        )
        options = LoadOptions(
            device=device,
            precision=precision,
            devices=_of_parts(retriever_device, index_device, reader_device),
            precisions=_of_parts(retriever_precision, index_precision, reader_precision),
            kwargs=_of_parts(
                retriever_kwargs, index_kwargs, {"use_nme": use_nme} | _dict(reader_kwargs)
            ),
            quirks=quirks,
        )
        general = (task, metadata_fields, top_k, window_size, window_stride)
        return cls._opened(
            files, config_file_name, _of_parts(retriever, index, reader), general, options
        )

    @classmethod
    def _opened(
        cls,
        files: Files,
        config_file_name: str,
        parts: dict[str, Any],
        general: tuple[Any, ...],
        options: LoadOptions,
    ) -> "Relik":
        stated = read_stated(files, config_file_name)
        names = ("task", "metadata_fields", "top_k", "window_size", "window_stride")
        given = {k: v for k, v in zip(names, general, strict=True) if v is not AS_STATED}
        settings = parse_settings(stated.values | given, where=stated.where)
        parts = {name: part for name, part in parts.items() if part is not AS_STATED}
        opened = Opener(settings.task, files, options).open(stated.values, parts)
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
        relik._parts = replace(relik._parts, cutter=stated.cutter)
        return relik

    @property
    def task(self) -> PipelineTask:
        """What the pipeline is for."""
        return self._settings.task

    @property
    def settings(self) -> PipelineSettings:
        """The settings of calls: candidates, windows."""
        return self._settings

    @property
    def retriever(self) -> Any:
        """The encoder; of each task, by its name, where there are two; None without."""
        return _unwrapped(self._parts.retriever)

    @property
    def index(self) -> Any:
        """The index; of each task, by its name, where there are two; None without."""
        return _unwrapped(self._parts.index)

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
        """Annotate.

        Args:
            text: A text or a list of texts; with `is_split_into_words` a list of words or of
                such lists.
            windows: Windows to read, as `return_windows` gives them, in place of those that the
                texts would be cut into; the texts may then be left out.
            candidates: Candidates of a text, or a list of them for each: texts, documents or
                JSON objects; or a dict from "span" and "triplet" to such. Nothing is retrieved
                for the tasks that they are given for.
            mentions: Start and end of each mention of a text, or a list of them for each: these
                are linked, and no others are looked for.
            top_k: Candidates per window; None as the pipeline is set.
            window_size: Tokens per window, "sentence" or "none"; None as the pipeline is set.
            window_stride: Tokens from one window to the next; None as the pipeline is set.

        Returns:
            One answer for one text, a list for a list. With quirks, as upstream: one answer
            wherever there is one, and none for a text without tokens.

        Raises:
            InputError: What was given does not fit.
            ConfigError: The pipeline lacks a part that is needed.
            TypeError: There is no such option; the message has the nearest name.
        """
        named = {"top_k": top_k, "window_size": window_size, "window_stride": window_stride}
        call_options = read_options(options, named)
        given = None if windows is None else read_windows(windows, self._parts.cutter)
        if text is not None:
            texts = read_texts(text, self._parts.cutter, is_split_into_words=is_split_into_words)
        elif given is not None:
            texts = texts_of_windows(given)
        else:
            raise InputError("got neither a text nor windows: give one of them")
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
            save_weights: Write the parts too, each to its folder; else only `config.yaml`, which
                then names where they are now.

        Raises:
            ConfigError: A part was given open, and has no files to be copied or named.
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
            repo_id: "org/name"; made where it is missing.
            token: Token of the Hub; None for the one that is logged in.

        Raises:
            ConfigError: As for `save_pretrained`, or huggingface_hub is not installed.
            BundleError: The Hub refused it.
        """
        return push_pipeline(
            lambda folder: self.save_pretrained(folder, save_weights=save_weights),
            repo_id,
            private=private,
            token=token,
            message=commit_message,
        )

    push = push_to_hub


def _unwrapped(parts: Mapping[Task, Opened]) -> Any:
    values = {name: opened.value for name, opened in parts.items()}
    if len(values) < 2:
        return next(iter(values.values()), None)
    return values


def _of_parts(retriever: Any, index: Any, reader: Any) -> dict[str, Any]:
    return {"retriever": retriever, "index": index, "reader": reader}


def _dict(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return dict(values or {})
