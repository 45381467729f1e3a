"""Doctor, self-test, support bundle and installation: what operators run by hand.

Imports `core` and the rooms below it.
"""
