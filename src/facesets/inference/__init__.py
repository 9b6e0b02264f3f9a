"""Run models with ONNX Runtime and insightface; the only importer of these."""
