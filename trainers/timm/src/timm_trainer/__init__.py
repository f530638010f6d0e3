"""Trains image classifiers with timm's models. `python -m timm_trainer` runs one job; see train.py."""
