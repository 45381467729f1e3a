"""Statistical corrections of the models for single farms: fitted, judged, published.

Imports `gate` and the rooms below it.
"""
