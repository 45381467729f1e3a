"""A trainer's folder or bucket: settings, lake, runs, locks, and where work is computed.

Imports nothing of the trainer's other rooms.
"""
