"""Trains Hugging Face vision models. `python -m huggingface_trainer` runs one job; see train.py."""
