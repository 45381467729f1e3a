"""One module per group of commands; `trainer.cli` imports them when they are called."""
