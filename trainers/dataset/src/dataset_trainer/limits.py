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
    # Annotation files: the big ones (JSON, JSON lines, CSV) are read piece by piece, the others whole.
    annotation_bytes: int = GIB
    annotation_piece_bytes: int = 16 * MIB
    text_bytes: int = 4 * MIB
    yaml_bytes: int = 256 * 1024
    xml_depth: int = 20
    xml_elements: int = 100_000
    annotations: int = 20_000_000
    images: int = 1_000_000
    classes: int = 10_000
    # Per image; the contract's limits of a sample, and one that keeps its line of the index small.
    objects: int = 5_000
    captions: int = 50
    caption_characters: int = 2_000
    sample_numbers: int = 500_000
    keypoints: int = 200


DEFAULT_LIMITS = Limits()
