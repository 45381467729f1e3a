"""What is said over MQTT and REST: message values, topics, payload structs, status messages.

Pure. Imports `contract` and `system`.
"""
