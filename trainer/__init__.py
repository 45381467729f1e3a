"""Central side: ingest, train, gate, export, sign, publish."""
