"""Mistakes in masks and captions, in the choice of a format, and with EXIF."""

from __future__ import annotations

from case_list import CaseList
from hostile_archives import zip_of
from upload_parts import (
    CAPTIONING,
    DATA,
    DETECTION,
    ROWS,
    SEMANTIC,
    caption,
    captions,
    coco,
    coco_image,
    mask,
    masks,
    picture,
    turned_picture,
    voc_file,
    yolo,
)


def other_mistakes(cases: CaseList) -> None:
    # Masks
    cases.add("masks: value out of range", SEMANTIC, "MASK_VALUE_UNKNOWN", lambda: masks(mask(0, 2)))
    cases.add("masks: 16 bits", SEMANTIC, "MASK_VALUE_UNKNOWN", lambda: masks(mask(0, 300, mode="I;16")))
    cases.add("masks: other size", SEMANTIC, "MASK_SIZE_MISMATCH", lambda: masks(mask(0, 1, size=(20, 20))))
    cases.add(
        "masks: colours without names",
        SEMANTIC,
        "MASK_COLOUR_UNKNOWN",
        lambda: masks(mask(0, 0, 0, 255, 0, 0, mode="RGB")),
    )
    cases.add(
        "masks: unknown colour", SEMANTIC, "MASK_COLOUR_UNKNOWN",
        lambda: masks(mask(0, 0, 0, 255, 9, 0, mode="RGB"), ("labelmap.txt", b"ground:0,0,0::\ncat:255,0,0::\n")),
    )  # fmt: skip
    cases.add(
        "masks: bad colour",
        SEMANTIC,
        "MASK_COLOUR_UNKNOWN",
        lambda: masks(mask(0, 1), ("labelmap.txt", b"a:0,0,999::\nb:1,1,1::\n")),
    )
    cases.add(
        "masks: one colour for two",
        SEMANTIC,
        "MASK_COLOUR_UNKNOWN",
        lambda: masks(mask(0, 1), ("labelmap.txt", b"a:0,0,0::\nb:0,0,0::\n")),
    )
    cases.add("masks: JPEG", SEMANTIC, "MASK_CORRUPT", lambda: masks(mask(0, 1, kind="JPEG")))
    cases.add("masks: no image", SEMANTIC, "MASK_CORRUPT", lambda: masks(b"hello"))
    cases.add("masks: all ignored", SEMANTIC, "MASK_EMPTY", lambda: masks(mask(255)))
    cases.add(
        "masks: binary with 255",
        SEMANTIC,
        "TOO_FEW_CLASSES",
        lambda: masks(mask(0, 255), classes=None, val=mask(0, 255)),
    )
    cases.add(
        "masks: 300 classes",
        SEMANTIC,
        "TOO_MANY_CLASSES",
        lambda: masks(mask(0, 1), classes="".join(f"c{n}\n" for n in range(300))),
    )
    cases.add(
        "masks: broken classes.json",
        SEMANTIC,
        "ANNOTATION_CORRUPT",
        lambda: masks(mask(0, 1), ("classes.json", b"[1,")),
    )
    cases.add(
        "masks: classes.json is a number",
        SEMANTIC,
        "CLASS_NAME_INVALID",
        lambda: masks(mask(0, 1), ("classes.json", b"5")),
    )
    cases.add(
        "masks: mask without image",
        SEMANTIC,
        "ANNOTATION_WITHOUT_IMAGE",
        lambda: masks(mask(0, 1), ("masks/train/9.png", mask(0, 1))),
    )
    cases.add(
        "masks: two images of a name",
        SEMANTIC,
        "DUPLICATE_STEM",
        lambda: masks(mask(0, 1), ("images/train/0.jpg", picture(3, "JPEG"))),
    )
    cases.add(
        "masks: two masks of a name",
        SEMANTIC,
        "DUPLICATE_STEM",
        lambda: masks(mask(0, 1), ("labels/train/0.png", mask(0, 1))),
    )
    cases.add("masks: no mask at all", SEMANTIC, "UNSUPPORTED_LAYOUT", lambda: zip_of(("images/0.png", picture())))
    cases.warn(
        "masks: image without mask",
        SEMANTIC,
        "IMAGE_NOT_ANNOTATED",
        lambda: masks(mask(0, 1), ("images/train/9.png", picture(9))),
    )
    cases.warn("masks: no names", SEMANTIC, "CLASS_NAMES_GENERATED", lambda: masks(mask(0, 1), classes=None))
    cases.warn(
        "masks: class that nothing shows", SEMANTIC, "EMPTY_CLASS", lambda: masks(mask(0, 1), classes="a\nb\nc\n")
    )

    # Captions
    cases.add("captions: empty", CAPTIONING, "EMPTY_CAPTION", lambda: captions(caption(" \t ")))
    cases.warn("captions: one of two empty", CAPTIONING, "EMPTY_CAPTION", lambda: captions(caption(["", "a cat"])))
    cases.add("captions: endless", CAPTIONING, "CAPTION_TOO_LONG", lambda: captions(caption("a" * 3000)))
    cases.warn(
        "captions: 60", CAPTIONING, "TOO_MANY_CAPTIONS", lambda: captions(caption([f"cat {n}" for n in range(60)]))
    )
    cases.add(
        "captions: image missing", CAPTIONING, "IMAGE_MISSING", lambda: captions(caption(), caption(file_name="x.png"))
    )
    cases.add(
        "captions: image twice",
        CAPTIONING,
        "IMAGE_AMBIGUOUS",
        lambda: captions(caption(file_name="9.png"), extra=(("a/9.png", picture(8)), ("b/9.png", picture(9)))),
    )
    cases.add("captions: in two splits", CAPTIONING, "DUPLICATE_ID", lambda: captions(caption(), caption(split="val")))
    cases.add("captions: no image named", CAPTIONING, "ROW_INVALID", lambda: captions({"text": "a cat"}))
    cases.add("captions: no JSON", CAPTIONING, "ANNOTATION_CORRUPT", lambda: captions("a cat"))
    cases.add("captions: a list", CAPTIONING, "ANNOTATION_CORRUPT", lambda: captions(["a cat"]))
    cases.add("captions: nesting bomb", CAPTIONING, "ANNOTATION_BOMB", lambda: captions("[" * 200_000))
    cases.add("captions: line of 2 MB", CAPTIONING, "ANNOTATION_TOO_LARGE", lambda: captions(caption("ab" * 1_000_000)))
    cases.add(
        "captions: not UTF-8",
        CAPTIONING,
        "ANNOTATION_CORRUPT",
        lambda: zip_of(("0.png", picture()), ("captions.csv", b"file_name,text\n0.png,\xff\n")),
    )
    cases.warn(
        "captions: image without",
        CAPTIONING,
        "IMAGE_NOT_ANNOTATED",
        lambda: captions(caption(), extra=(("train/2.png", picture(2)),)),
    )

    # Formats and tasks
    cases.add("format of another task", DETECTION, "FORMAT_TASK_MISMATCH", yolo, format_name="masks")
    cases.add("several formats", DETECTION, "FORMAT_AMBIGUOUS", lambda: yolo(ROWS, ("Annotations/0.xml", voc_file())))
    cases.add("images alone", DETECTION, "UNSUPPORTED_LAYOUT", lambda: zip_of(("train/cat/0.png", picture())))
    cases.add("annotations alone", DETECTION, "UNSUPPORTED_LAYOUT", lambda: zip_of(("data.yaml", DATA.encode())))
    cases.add(
        "broken image in COCO",
        DETECTION,
        "IMAGE_TRUNCATED",
        lambda: coco(
            extra=(("train/2.png", picture(2)[:40]),), images=[*coco_image()["images"], {"id": 2, "file_name": "2.png"}]
        ),
    )

    # EXIF
    cases.warn(
        "COCO: made on the stored pixels",
        DETECTION,
        "TURNED_WITH_EXIF",
        lambda: coco(extra=(("train/t.jpg", turned_picture(5)),), **coco_image(file_name="t.jpg")),
    )
    cases.warn(
        "masks: made on the stored pixels",
        SEMANTIC,
        "TURNED_WITH_EXIF",
        lambda: masks(mask(0, 1), ("images/train/t.jpg", turned_picture(5)), ("masks/train/t.png", mask(0, 1))),
    )
