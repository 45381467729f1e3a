"""MQTT: outbox, connection, delivery, Home Assistant's discovery, commands, webhook."""
