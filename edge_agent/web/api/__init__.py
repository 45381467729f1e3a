"""The REST interface: addresses, answers, OpenAPI document, Prometheus metrics."""
