"""Trains any git repository, driven by a manifest."""
