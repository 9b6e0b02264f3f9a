"""Inference with ONNX Runtime and insightface; the only place that imports them."""
