"""Export of training runs to the model files of a bundle: quantised weights and ONNX graphs."""

from relik_training.export.files import export_encoder, export_reader, export_shared

__all__ = ["export_encoder", "export_reader", "export_shared"]
