"""The kit for trainers: reads the contract's environment, publishes events, stores checkpoints and results.

Nothing here imports a training framework. See README.md for the few names a trainer needs.
"""
