"""Masks against the original of their format (pycocotools), and the ways between run lengths, polygons and pixels."""

from __future__ import annotations

import numpy as np
import pytest
from digit_outlines import run_lengths
from digit_scenes import make_scenes
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco

from vision_trainer.contracts import RunLengthMask, SampleObject
from vision_trainer.failures import TrainerFailure
from vision_trainer.mask_outlines import join_polygons
from vision_trainer.masks import mask_to_polygons, object_mask, polygons_to_mask, rle_decode, rle_encode

Mask = NDArray[np.bool_]


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    """Random pixels, also none and all, in random sizes."""
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.random((height, width)) < draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))


@given(masks())
@settings(max_examples=200, deadline=None)
def test_run_lengths_are_those_of_coco(mask: Mask) -> None:
    ours = rle_encode(mask)
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert ours.counts == theirs["counts"].decode()
    assert [int(side) for side in ours.size] == theirs["size"]
    assert (rle_decode(ours) == mask).all()
    assert ours.counts == run_lengths(mask)


def test_large_masks_too() -> None:
    y, x = np.mgrid[:480, :640]
    mask = (y - 200) ** 2 + (x - 300) ** 2 < 150**2
    assert rle_encode(mask).counts == coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert (rle_decode(rle_encode(mask)) == mask).all()


@given(masks())
@settings(max_examples=200, deadline=None)
def test_outlines_filled_again_are_the_mask(mask: Mask) -> None:
    polygons = mask_to_polygons(mask)
    assert (polygons_to_mask(polygons, *mask.shape) == mask).all()
    if polygons:
        assert (polygons_to_mask([join_polygons(polygons)], *mask.shape) == mask).all()


def test_an_island_in_a_hole_that_touches_its_shore() -> None:
    mask = np.ones((7, 7), np.bool_)
    mask[1:6, 1:6] = False
    mask[2, 2] = mask[4, 4] = mask[1, 1] = True
    polygons = mask_to_polygons(mask)
    assert (polygons_to_mask(polygons, 7, 7) == mask).all()


def test_polygons_agree_with_coco_up_to_the_rim() -> None:
    polygon = [10.3, 5.2, 50.7, 12.9, 44.1, 40.0, 20.5, 33.3]
    ours = polygons_to_mask([polygon], 48, 64)
    theirs = coco.decode(coco.frPyObjects([polygon], 48, 64))[..., 0].astype(bool)
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.95


def test_the_scenes_outlines_and_run_lengths_are_the_same_masks() -> None:
    by_polygons = make_scenes("instance_segmentation", 4, 3, outlines="polygons")
    by_runs = make_scenes("instance_segmentation", 4, 3, outlines="rle")
    for one, other in zip(by_polygons, by_runs, strict=True):
        for drawn, counted in zip(one.objects or [], other.objects or [], strict=True):
            first = object_mask(SampleObject.model_validate(drawn), 96, 96)
            assert (first == object_mask(SampleObject.model_validate(counted), 96, 96)).all()
            x, y, width, height = (int(side) for side in drawn["box"])
            assert first[y : y + height, x : x + width].sum() == first.sum() > 0


@pytest.mark.parametrize("counts", ["", "0", "zz", "!!", "P" * 40, "00000", "9" * 5])
def test_damaged_run_lengths_are_refused(counts: str) -> None:
    rle = RunLengthMask(size=(4, 4), counts=counts)
    with pytest.raises(ValueError, match=r"run lengths|mask of"):
        rle_decode(rle)
    with pytest.raises(TrainerFailure) as caught:
        object_mask(SampleObject(category=0, box=(0, 0, 4, 4), rle=rle), 4, 4)
    assert caught.value.exit_code == 3


def test_an_absurd_size_is_refused_before_memory_is() -> None:
    with pytest.raises(ValueError, match="mask of"):
        rle_decode(RunLengthMask(size=(1e9, 1e9), counts="0"))
    with pytest.raises(TrainerFailure):
        object_mask(SampleObject(category=0, box=(0, 0, 1, 1), rle=rle_encode(np.ones((3, 3), np.bool_))), 4, 4)
