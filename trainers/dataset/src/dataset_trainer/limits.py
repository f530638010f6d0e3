"""How much one upload may ask of this process. Every bound is checked before the memory or disk is spent."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """All sizes in bytes."""

    entries: int = 200_000
    directory_bytes: int = 96 * MIB
    archive_bytes: int = 50 * GIB
    uncompressed_bytes: int = 50 * GIB
    compression_ratio: int = 100
    # Small archives of flat drawings compress better than any bomb is worth; the ratio counts only above this.
    ratio_floor_bytes: int = 100 * MIB
    file_bytes: int = 128 * MIB
    image_pixels: int = 100_000_000
    path_depth: int = 12
    path_bytes: int = 1024
    component_bytes: int = 255
    shard_bytes: int = 256 * MIB


DEFAULT_LIMITS = Limits()
