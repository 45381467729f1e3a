"""The signed depot (TUF): keys, metadata, releases, and the server for trials.

Imports `workspace`.
"""
