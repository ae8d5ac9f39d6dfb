"""Run the stage functions of a model: ONNX Runtime (CPU) and torch (GPU, training)."""
