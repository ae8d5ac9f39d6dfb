"""Paths of the files in a bundle."""

from dataclasses import dataclass

from relik.manifest import MANIFEST

KIND = "bundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleLayout:
    """Paths relative to the bundle, with forward slashes.

    Encoder and reader share one tokenizer and, unless the reader has another backbone, one frozen
    table of word embeddings. Model files are ONNX graphs, safetensors, or both.

    Args:
        reader_embeddings: The reader's own table, where it does not share the encoder's.
        config: Settings of a model, in its folder.
        weights: Weights for the torch backend, in the folder of a model.
        encoder_graph: Graph of the query encoder, in its folder.
        reader_graphs: Graphs of the reader's stages, in its folder.
    """

    manifest: str = MANIFEST
    pipeline: str = "pipeline.toml"
    tokenizer: str = "shared/tokenizer.json"
    word_embeddings: str = "shared/word_embeddings.safetensors"
    query_encoder: str = "query_encoder"
    reader: str = "reader"
    reader_embeddings: str = "reader/word_embeddings.safetensors"
    config: str = "config.json"
    weights: str = "model.safetensors"
    encoder_graph: str = "encoder.onnx"
    reader_graphs: tuple[str, ...] = ("encode.onnx", "ends.onnx", "link.onnx", "relate.onnx")
    entities: str = "entities"
    relations: str = "relations"


LAYOUT = BundleLayout()
