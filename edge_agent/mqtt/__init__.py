"""Messages that arrive: outbox, MQTT, topics, Home Assistant, commands."""
