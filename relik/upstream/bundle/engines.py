"""Opening one part of a pipeline on its engine: ONNX Runtime on graphs, or torch on weights.

Both are imported late, so that a converted bundle runs without torch.
"""

from pathlib import Path
from typing import Any, Literal, TypeAlias

from relik.errors import BundleError, ConfigError
from relik.manifest import MANIFEST
from relik.upstream.bundle.converted_index import ConvertedIndex
from relik.upstream.checkpoint.extra import libraries_needed
from relik.upstream.checkpoint.settings import IndexSettings, Precision, ReaderSettings

Engine: TypeAlias = Literal["auto", "onnx", "torch"]

ENCODER_GRAPH, READER_GRAPH = "encoder.onnx", "encode.onnx"
"""The file that marks the folder of an encoder or a reader as having graphs."""


def open_encoder(folder: Path, *, device: str, precision: Precision, engine: Engine) -> Any:
    """Open an encoder, with the interface of `UpstreamEncoder`.

    Raises:
        BundleError: A file is missing or broken.
        ConfigError: A library is not installed, or there is no such device.
    """
    if _on_onnx(folder / ENCODER_GRAPH, device=device, precision=precision, engine=engine):
        from relik.upstream.index.onnx_query_encoder import OnnxEncoder

        return OnnxEncoder.open(folder)
    with libraries_needed():
        from relik.upstream.index.query_encoder import UpstreamEncoder
    return UpstreamEncoder.open(folder, device=device, precision=precision)


def open_index(folder: Path, *, settings: IndexSettings, device: str, precision: Precision) -> Any:
    """Open a `DocumentIndex` in upstream's format, or a `ConvertedIndex`.

    Raises:
        BundleError: A file is missing, malformed, or does not fit the others.
        ConfigError: A library is not installed, or there is no such device.
    """
    if (folder / MANIFEST).is_file():
        return ConvertedIndex.open(folder, settings=settings, device=device, precision=precision)
    with libraries_needed():
        from relik.upstream.index.document_index import DocumentIndex
    return DocumentIndex.open(folder, settings=settings, device=device, precision=precision)


def open_reader(
    folder: Path,
    *,
    settings: ReaderSettings,
    device: str,
    precision: Precision,
    engine: Engine,
    quirks: bool,
) -> Any:
    """Open a reader.

    Raises:
        BundleError: A file is missing or broken.
        ConfigError: A library is not installed, the backbone is unknown, or there is no such
            device.
    """
    use_nme = settings.kind == "span" if settings.use_nme is None else settings.use_nme
    from relik.upstream.reader.released_reader import UpstreamReader

    if _on_onnx(folder / READER_GRAPH, device=device, precision=precision, engine=engine):
        from relik.upstream.reader.onnx_model import OnnxReaderModel

        model = OnnxReaderModel.open(folder, kind=settings.kind)
        return UpstreamReader.of(model, folder, use_nme=use_nme, quirks=quirks)
    with libraries_needed():
        return UpstreamReader.open(
            folder,
            kind=settings.kind,
            backbone=None if settings.backbone is None else Path(settings.backbone),
            use_nme=use_nme,
            device=device,
            precision=precision,
            quirks=quirks,
        )


def _on_onnx(graph: Path, *, device: str, precision: Precision, engine: Engine) -> bool:
    if engine == "torch":
        return False
    possible = device == "cpu" and precision == "float32"
    if engine == "onnx" and not possible:
        raise ConfigError(
            f"got the device {device!r} and the precision {precision!r} for ONNX Runtime, "
            "expected cpu and float32: choose these, or the engine torch"
        )
    if engine == "onnx" and not graph.is_file():
        raise BundleError(
            f"{graph}: is missing, expected a graph for ONNX Runtime: run `relik convert` on the "
            "pipeline, or choose the engine torch"
        )
    return possible and graph.is_file()
