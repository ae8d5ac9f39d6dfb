"""ONNX graphs of encoders and readers, written node by node."""
