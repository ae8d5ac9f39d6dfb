"""ONNX graphs of encoders and readers, built node by node."""
