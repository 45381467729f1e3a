"""Data sets, baselines and scores: how good a forecast is on hours it has not seen.

Imports `workspace`.
"""
