"""Mistakes in YOLO and Pascal VOC uploads."""

from __future__ import annotations

from case_list import CaseList
from hostile_archives import zip_of
from upload_parts import (
    DATA,
    DETECTION,
    INSTANCES,
    OUTLINES,
    POSE,
    POSES,
    ROWS,
    picture,
    voc,
    voc_file,
    yolo,
)


def row_mistakes(cases: CaseList) -> None:  # noqa: PLR0915 - a list
    # YOLO
    cases.add("YOLO: class out of range", DETECTION, "CATEGORY_UNKNOWN", lambda: yolo("2 0.5 0.5 0.2 0.2\n"))
    cases.add("YOLO: negative class", DETECTION, "CATEGORY_UNKNOWN", lambda: yolo("-1 0.5 0.5 0.2 0.2\n"))
    cases.add("YOLO: half a class", DETECTION, "CATEGORY_UNKNOWN", lambda: yolo("0.5 0.5 0.5 0.2 0.2\n"))
    cases.add("YOLO: pixels", DETECTION, "COORDINATES_NOT_NORMALISED", lambda: yolo("0 20 10 8 4\n"))
    cases.add("YOLO: outside", DETECTION, "BOX_OUTSIDE", lambda: yolo("0 1.5 0.5 0.2 0.2\n"))
    cases.add("YOLO: negative side", DETECTION, "BOX_INVALID", lambda: yolo("0 0.5 0.5 -0.2 0.2\n"))
    cases.warn("YOLO: reaches outside", DETECTION, "BOX_CLIPPED", lambda: yolo("0 0.95 0.5 0.2 0.2\n"))
    cases.warn("YOLO: no area", DETECTION, "BOX_EMPTY", lambda: yolo(ROWS + "0 0.5 0.5 0 0.2\n"))
    cases.add("YOLO: four columns", DETECTION, "ROW_INVALID", lambda: yolo("0 0.5 0.5 0.2\n"))
    cases.add("YOLO: words", DETECTION, "ROW_INVALID", lambda: yolo("cat 0.5 0.5 0.2 0.2\n"))
    cases.add("YOLO: NaN", DETECTION, "NOT_A_NUMBER", lambda: yolo("0 nan 0.5 0.2 0.2\n"))
    cases.add(
        "YOLO: not UTF-8",
        DETECTION,
        "ANNOTATION_CORRUPT",
        lambda: yolo(ROWS, ("images/train/2.png", picture(2)), ("labels/train/2.txt", b"\xff\xfe0")),
    )
    cases.add(
        "YOLO: label without image",
        DETECTION,
        "ANNOTATION_WITHOUT_IMAGE",
        lambda: yolo(ROWS, ("labels/train/x.txt", b"")),
    )
    cases.warn(
        "YOLO: image without label",
        DETECTION,
        "BACKGROUND_IMAGE",
        lambda: yolo(ROWS, ("images/train/2.png", picture(2))),
    )
    cases.add(
        "YOLO: two images for one label",
        DETECTION,
        "DUPLICATE_STEM",
        lambda: yolo(ROWS, ("images/train/0.bmp", picture(2, "BMP"))),
    )
    cases.warn(
        "YOLO: download",
        DETECTION,
        "DOWNLOAD_IGNORED",
        lambda: yolo(data=DATA + "download: |\n  import os\n  os.system('touch /tmp/pwned')\n"),
    )
    cases.add(
        "YOLO: code in the YAML",
        DETECTION,
        "ANNOTATION_CORRUPT",
        lambda: yolo(data=DATA + "x: !!python/object/apply:os.system ['id']\n"),
    )
    cases.add(
        "YOLO: alias bomb",
        DETECTION,
        "ANNOTATION_BOMB",
        lambda: yolo(data="a: &a [x]\nb: &b [*a,*a]\nnames: [*b,*b]\n"),
    )
    cases.add("YOLO: nested YAML", DETECTION, "ANNOTATION_BOMB", lambda: yolo(data="a: " + "[" * 500))
    cases.add("YOLO: YAML of 1 MB", DETECTION, "ANNOTATION_TOO_LARGE", lambda: yolo(data=DATA + "#" * 1_000_000))
    cases.add("YOLO: broken YAML", DETECTION, "ANNOTATION_CORRUPT", lambda: yolo(data="names: [a\nb: }"))
    cases.add("YOLO: no names", DETECTION, "CLASS_NAME_INVALID", lambda: yolo(data="train: images/train\n"))
    cases.add("YOLO: names with a gap", DETECTION, "CLASS_NAME_INVALID", lambda: yolo(data="names: {0: a, 2: b}\n"))
    cases.add("YOLO: nc differs", DETECTION, "CLASS_NAME_INVALID", lambda: yolo(data=DATA + "nc: 3\n"))
    cases.add(
        "YOLO: 10,001 classes",
        DETECTION,
        "TOO_MANY_CLASSES",
        lambda: yolo(data=f"names: [{','.join(map(str, range(10_001)))}]\n"),
    )
    cases.add(
        "YOLO: no data.yaml",
        DETECTION,
        "UNSUPPORTED_LAYOUT",
        lambda: zip_of(("images/0.png", picture()), ("labels/0.txt", b"")),
    )
    cases.add(
        "YOLO: two YAML files", DETECTION, "FORMAT_AMBIGUOUS", lambda: yolo(ROWS, ("more/data.yaml", DATA.encode()))
    )
    cases.add(
        "YOLO: list of images is missing",
        DETECTION,
        "SPLIT_MISSING",
        lambda: yolo(data="train: train.txt\nval: val.txt\nnames: [a, b]\n"),
    )
    cases.add(
        "YOLO: list names another image",
        DETECTION,
        "IMAGE_MISSING",
        lambda: yolo(
            ROWS, ("train.txt", b"./images/train/9.png\n"), data="train: train.txt\nval: images/val\nnames: [a, b]\n"
        ),
    )
    cases.add(
        "YOLO: folders are missing",
        DETECTION,
        "SPLIT_MISSING",
        lambda: zip_of(("data.yaml", DATA.encode()), ("pictures/0.png", picture())),
    )
    cases.add(
        "YOLO: empty val",
        DETECTION,
        "EMPTY_SPLIT",
        lambda: zip_of(
            ("data.yaml", DATA.encode()), ("images/train/0.png", picture()), ("labels/train/0.txt", ROWS.encode())
        ),
    )
    cases.add(
        "YOLO: polygon of two points",
        INSTANCES,
        "POLYGON_TOO_SHORT",
        lambda: yolo("0 0.1 0.1 0.5 0.5 0.3\n", val_rows=OUTLINES),
    )
    cases.add("YOLO: boxes for outlines", INSTANCES, "OUTLINE_MISSING", lambda: yolo(ROWS, val_rows=OUTLINES))
    cases.add("YOLO: no kpt_shape", POSE, "KEYPOINTS_MISSING", lambda: yolo(POSES))
    cases.add(
        "YOLO: key point missing",
        POSE,
        "KEYPOINT_COUNT_MISMATCH",
        lambda: yolo(POSES, data=DATA + "kpt_shape: [2, 3]\n"),
    )
    cases.add(
        "YOLO: kpt_shape of four",
        POSE,
        "KEYPOINT_COUNT_MISMATCH",
        lambda: yolo(POSES, data=DATA + "kpt_shape: [2, 4]\n"),
    )
    cases.add(
        "YOLO: flip_idx is no pairing",
        POSE,
        "KEYPOINT_COUNT_MISMATCH",
        lambda: yolo(POSES, data=DATA + "kpt_shape: [3, 3]\nflip_idx: [1, 2, 0]\n"),
    )

    # VOC
    cases.add(
        "VOC: document type",
        DETECTION,
        "ANNOTATION_BOMB",
        lambda: voc(b'<!DOCTYPE a [<!ENTITY x "y">]><annotation>&x;</annotation>'),
    )
    cases.add(
        "VOC: external entity",
        DETECTION,
        "ANNOTATION_BOMB",
        lambda: voc(b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>'),
    )
    cases.add("VOC: deep", DETECTION, "ANNOTATION_BOMB", lambda: voc(b"<annotation>" + b"<a>" * 5000))
    cases.add("VOC: truncated", DETECTION, "ANNOTATION_CORRUPT", lambda: voc(voc_file()[:-20]))
    cases.add(
        "VOC: unknown encoding",
        DETECTION,
        "ANNOTATION_CORRUPT",
        lambda: voc(b'<?xml version="1.0" encoding="klingon"?><annotation/>'),
    )
    cases.add("VOC: 5 MB", DETECTION, "ANNOTATION_TOO_LARGE", lambda: voc(b"<annotation>" + b" " * 5_000_000))
    cases.add(
        "VOC: xmax before xmin",
        DETECTION,
        "BOX_INVALID",
        lambda: voc(voc_file(("cat", 10, 1, 5, 10), ("dog", 1, 1, 2, 2))),
    )
    cases.add("VOC: outside", DETECTION, "BOX_OUTSIDE", lambda: voc(voc_file(("cat", 90, 1, 95, 10))))
    cases.add("VOC: words", DETECTION, "NOT_A_NUMBER", lambda: voc(voc_file(("cat", "one", 1, 5, 10))))
    cases.add("VOC: infinity", DETECTION, "NOT_A_NUMBER", lambda: voc(voc_file(("cat", 1, 1, "inf", 10))))
    cases.add("VOC: no name", DETECTION, "CATEGORY_UNKNOWN", lambda: voc(voc_file(("", 1, 1, 5, 10))))
    cases.add("VOC: other size", DETECTION, "IMAGE_SIZE_MISMATCH", lambda: voc(voc_file(size=(80, 40))))
    cases.add("VOC: list names no image", DETECTION, "IMAGE_MISSING", lambda: voc(sets=("0\n7\n", "1\n")))
    cases.add("VOC: in two lists", DETECTION, "DUPLICATE_ID", lambda: voc(sets=("0\n1\n", "1\n")))
    cases.add(
        "VOC: annotation without image",
        DETECTION,
        "ANNOTATION_WITHOUT_IMAGE",
        lambda: voc(b"", ("Annotations/9.xml", voc_file())),
    )
    cases.add(
        "VOC: two images of a name",
        DETECTION,
        "DUPLICATE_STEM",
        lambda: voc(b"", ("JPEGImages/0.jpg", picture(3, "JPEG"))),
    )
    cases.warn(
        "VOC: in no list",
        DETECTION,
        "IMAGE_NOT_ANNOTATED",
        lambda: voc(b"", ("JPEGImages/2.png", picture(2)), ("Annotations/2.xml", voc_file())),
    )
    cases.warn(
        "VOC: background",
        DETECTION,
        "BACKGROUND_IMAGE",
        lambda: voc(b"", ("JPEGImages/2.png", picture(2)), sets=("0\n2\n", "1\n")),
    )
    cases.warn("VOC: other XML", DETECTION, "STRAY_FILE", lambda: voc(b"", ("pom.xml", b"<project/>")))
