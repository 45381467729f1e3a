"""Fitting a candidate: ridge, trees, stacking, ONNX export and its parity check.

Imports `workspace`, `evaluation` and `ingest`.
"""
