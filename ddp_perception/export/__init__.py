"""Models as graphs of standard operations: ONNX, ONNX Runtime, TensorRT."""
