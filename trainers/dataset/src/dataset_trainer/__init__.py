"""The ingest trainer: turns an uploaded archive into a checked, canonical dataset version."""

__version__ = "0.1.0"
