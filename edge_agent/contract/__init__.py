"""What trainer and agent must agree on. Pure: standard library, polars and numpy only."""
