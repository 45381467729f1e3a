"""One module for each command; `edge_agent.cli` imports it when the command is called.

`common` has the options, the configuration and the agent's parts that they share.
"""
