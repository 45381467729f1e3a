"""The report about a run, and the mirror in MLflow.

Imports every room below.
"""
