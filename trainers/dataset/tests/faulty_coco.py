"""Mistakes in COCO uploads."""

from __future__ import annotations

import json
from functools import partial

from case_list import CaseList
from hostile_archives import zip_of
from upload_parts import (
    DETECTION,
    HEIGHT,
    INSTANCES,
    POINTS,
    POSE,
    SPLITS,
    SQUARE,
    WIDTH,
    annotation,
    coco,
    coco_file,
    coco_image,
    picture,
    posed,
    raw_coco,
)

GROUPED = [{"id": number, "name": name, "supercategory": "pets"} for number, name in ((7, "cat"), (90, "dog"))]


def run_lengths(counts: object) -> bytes:
    return coco(annotation(segmentation={"size": [HEIGHT, WIDTH], "counts": counts}))


def different_names() -> bytes:
    files = (coco_file(number, categories=[{"id": 7, "name": split}]) for number, split in enumerate(SPLITS))
    return zip_of(
        ("train/0.png", picture()),
        ("val/1.png", picture(1)),
        *(
            (f"annotations/instances_{split}.json", json.dumps(file).encode())
            for split, file in zip(SPLITS, files, strict=True)
        ),
    )


def coco_mistakes(cases: CaseList) -> None:  # noqa: PLR0915 - a list
    # COCO
    cases.add("COCO: box outside", DETECTION, "BOX_OUTSIDE", lambda: coco(annotation(bbox=[50, 3, 5, 5])))
    cases.add("COCO: negative side", DETECTION, "BOX_INVALID", lambda: coco(annotation(bbox=[5, 3, -2, 5])))
    cases.add("COCO: three numbers", DETECTION, "BOX_INVALID", lambda: coco(annotation(bbox=[5, 3, 2])))
    cases.add("COCO: neither box nor outline", DETECTION, "BOX_INVALID", lambda: coco(annotation(bbox=None)))
    cases.add("COCO: NaN", DETECTION, "NOT_A_NUMBER", lambda: coco(annotation(bbox=[1, float("nan"), 2, 2])))
    cases.add("COCO: text for a number", DETECTION, "NOT_A_NUMBER", lambda: coco(annotation(bbox=[1, "2", 2, 2])))
    cases.add(
        "COCO: number of 400 digits", DETECTION, "NOT_A_NUMBER", lambda: coco(annotation(bbox=[1, 10**400, 2, 2]))
    )
    cases.warn("COCO: box reaches outside", DETECTION, "BOX_CLIPPED", lambda: coco(annotation(bbox=[35, 3, 8, 5])))
    cases.warn(
        "COCO: box without area", DETECTION, "BOX_EMPTY", lambda: coco(annotation(), annotation(2, bbox=[5, 3, 0, 5]))
    )
    cases.add("COCO: unknown category", DETECTION, "CATEGORY_UNKNOWN", lambda: coco(annotation(category_id=8)))
    cases.add("COCO: category is a list", DETECTION, "CATEGORY_UNKNOWN", lambda: coco(annotation(category_id=[7])))
    cases.add("COCO: image is not there", DETECTION, "IMAGE_MISSING", lambda: coco(**coco_image(file_name="x.png")))
    cases.add(
        "COCO: image only in the other split", DETECTION, "IMAGE_MISSING", lambda: coco(**coco_image(file_name="1.png"))
    )
    cases.add(
        "COCO: one name, two images", DETECTION, "IMAGE_AMBIGUOUS",
        lambda: coco(
            extra=(("a/train/9.png", picture(8)), ("b/train/9.png", picture(9))), **coco_image(file_name="9.png")
        ),
    )  # fmt: skip
    cases.add(
        "COCO: annotation of no image",
        DETECTION,
        "ANNOTATION_WITHOUT_IMAGE",
        lambda: coco(annotation(), annotation(image=5)),
    )
    cases.add("COCO: image id twice", DETECTION, "DUPLICATE_ID", lambda: coco(images=coco_image()["images"] * 2))
    cases.add(
        "COCO: image listed twice", DETECTION, "DUPLICATE_ID",
        lambda: coco(images=[*coco_image()["images"], *coco_image(id=2)["images"]]),
    )  # fmt: skip
    cases.add("COCO: category id twice", DETECTION, "DUPLICATE_ID", lambda: coco(categories=POINTS + POINTS[:1]))
    cases.add(
        "COCO: category twice",
        DETECTION,
        "CLASS_NAME_INVALID",
        lambda: coco(categories=[{"id": 7, "name": "cat"}, {"id": 90, "name": "cat"}]),
    )
    cases.add(
        "COCO: category without a name",
        DETECTION,
        "CLASS_NAME_INVALID",
        lambda: coco(categories=[{"id": 7}, {"id": 90, "name": "b"}]),
    )
    cases.add("COCO: no category", DETECTION, "CLASS_NAME_INVALID", lambda: coco(categories=[]))
    cases.add("COCO: image without a name", DETECTION, "ANNOTATION_CORRUPT", lambda: coco(images=[{"id": 1}]))
    cases.add("COCO: annotation is a number", DETECTION, "ANNOTATION_CORRUPT", lambda: coco(annotations=[5]))
    cases.add("COCO: other size", DETECTION, "IMAGE_SIZE_MISMATCH", lambda: coco(**coco_image(width=80, height=40)))
    cases.warn(
        "COCO: image not listed", DETECTION, "IMAGE_NOT_ANNOTATED", lambda: coco(extra=(("train/2.png", picture(2)),))
    )
    cases.warn("COCO: class never used", DETECTION, "CLASS_MISMATCH", lambda: coco(annotation()))
    cases.warn(
        "COCO: category that only groups", DETECTION, "UNUSED_SUPERCATEGORY",
        lambda: coco(categories=[{"id": 0, "name": "pets"}, *GROUPED]),
    )  # fmt: skip
    cases.add(
        "COCO: truncated", DETECTION, "ANNOTATION_CORRUPT", lambda: raw_coco(json.dumps(coco_file(0)).encode()[:-9])
    )
    cases.add("COCO: not UTF-8", DETECTION, "ANNOTATION_CORRUPT", lambda: raw_coco(b'{"images": ["\xff"]}'))
    cases.add("COCO: nesting bomb", DETECTION, "ANNOTATION_BOMB", lambda: raw_coco(b'{"images": [' + b"[" * 200_000))
    cases.add(
        "COCO: entry of 20 MB", DETECTION, "ANNOTATION_TOO_LARGE", lambda: raw_coco(b'{"info": "' + b"ab" * 10_000_000)
    )
    cases.add("COCO: other JSON", DETECTION, "UNSUPPORTED_LAYOUT", lambda: raw_coco(b'{"hello": [1, 2]}'))
    cases.add(
        "COCO: names differ between splits", DETECTION, "CATEGORIES_DIFFER",
        different_names,
    )  # fmt: skip
    cases.add(
        "COCO: two files for train", DETECTION, "FORMAT_AMBIGUOUS",
        lambda: coco(extra=(("more/train.json", json.dumps(coco_file(0)).encode()),)),
    )  # fmt: skip
    cases.add(
        "COCO: one file without a split", DETECTION, "SPLIT_MISSING",
        lambda: coco(extra=(("annotations/more.json", json.dumps(coco_file(0)).encode()),)),
    )  # fmt: skip
    cases.add("COCO: no object", DETECTION, "NO_OBJECTS", lambda: coco(annotations=[]))
    cases.add("COCO: 5001 objects", DETECTION, "TOO_MANY_OBJECTS", lambda: coco(*(annotation(n) for n in range(5001))))
    cases.add(
        "COCO: polygon of two points",
        INSTANCES,
        "POLYGON_TOO_SHORT",
        lambda: coco(annotation(segmentation=[[1, 1, 5, 5]])),
    )
    cases.add(
        "COCO: odd polygon", INSTANCES, "POLYGON_TOO_SHORT", lambda: coco(annotation(segmentation=[[*SQUARE, 3]]))
    )
    cases.add("COCO: no outline", INSTANCES, "OUTLINE_MISSING", lambda: coco(annotation()))
    cases.add(
        "COCO: outline outside",
        INSTANCES,
        "BOX_OUTSIDE",
        lambda: coco(annotation(segmentation=[[50, 5, 60, 5, 60, 9]])),
    )
    cases.add(
        "COCO: RLE of another size", INSTANCES, "RLE_SIZE_MISMATCH",
        lambda: coco(annotation(segmentation={"size": [WIDTH, HEIGHT], "counts": [800]})),
    )  # fmt: skip
    for what, counts in {
        "too short": [5, 5],
        "negative": [-5, 805],
        "text": "a b",
        "half": "o",
        "nothing": None,
        "floats": [400.0, 400.0],
    }.items():
        cases.add(f"COCO: RLE {what}", INSTANCES, "RLE_INVALID", partial(run_lengths, counts))
    cases.warn(
        "COCO: RLE without a pixel", INSTANCES, "BOX_EMPTY",
        lambda: coco(
            annotation(segmentation=[SQUARE]),
            annotation(2, segmentation={"size": [HEIGHT, WIDTH], "counts": [800]}),
        ),
    )  # fmt: skip
    cases.add("COCO: no key points", POSE, "KEYPOINTS_MISSING", lambda: posed(annotation()))
    cases.add("COCO: no names of key points", POSE, "KEYPOINTS_MISSING", lambda: coco(annotation(keypoints=[1, 1, 2])))
    cases.add(
        "COCO: three key points of two",
        POSE,
        "KEYPOINT_COUNT_MISMATCH",
        lambda: posed(annotation(keypoints=[1, 1, 2] * 3)),
    )
    cases.add(
        "COCO: half a key point", POSE, "KEYPOINT_COUNT_MISMATCH", lambda: posed(annotation(keypoints=[1, 1, 2, 5]))
    )
    cases.add(
        "COCO: 300 key points",
        POSE,
        "KEYPOINT_COUNT_MISMATCH",
        lambda: posed(categories=[{"id": 7, "name": "a", "keypoints": list(map(str, range(300)))}]),
    )
    cases.add(
        "COCO: key points differ",
        POSE,
        "KEYPOINTS_DIFFER",
        lambda: posed(categories=[POINTS[0], POINTS[1] | {"keypoints": ["a"]}]),
    )
    cases.warn(
        "COCO: key point outside", POSE, "KEYPOINT_OUTSIDE", lambda: posed(annotation(keypoints=[1, 1, 2, 90, 1, 2]))
    )
