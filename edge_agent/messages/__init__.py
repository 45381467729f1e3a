"""MQTT messages: topics, payload structs, envelope, status messages; REST shares the payloads.

Pure. Imports `contract`.
"""
