# SPDX-License-Identifier: AGPL-3.0-only
"""The ultralytics trainer of Vision Platform: YOLO models for four tasks, by the trainer contract."""
