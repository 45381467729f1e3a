"""One module per group of commands; `edge_agent.cli` imports them when they are called."""
