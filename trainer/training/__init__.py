"""Fitting a candidate: ridge, trees, stacking, ONNX export and its parity check.

Imports `workspace` and `evaluation`.
"""
