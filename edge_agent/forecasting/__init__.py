"""From checked hours to a forecast: models, fallback, verification, correction.

Imports `contract`, `system` and `settings`; `inference` alone imports onnxruntime.
"""
