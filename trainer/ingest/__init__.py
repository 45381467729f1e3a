"""KMA's services and files into the lake: clients, parsers, gap plan, quality report.

Imports `workspace`.
"""
