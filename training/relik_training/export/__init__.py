"""Turn training runs into model files of a bundle: quantised weights, graphs that refer to them."""

from relik_training.export.files import export_encoder, export_reader, export_shared

__all__ = ["export_encoder", "export_reader", "export_shared"]
