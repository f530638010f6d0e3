"""Properties of the parsers: equal to a reference where there is one; for anything else a finding, never a crash."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import numpy as np
import pytest
from digit_outlines import run_lengths
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dataset_trainer import json_parts as json_parts_module
from dataset_trainer.annotation_spool import AnnotationSpool
from dataset_trainer.archive import Member
from dataset_trainer.coco_file import Id
from dataset_trainer.coco_objects import CocoKey, ObjectLabeller
from dataset_trainer.findings import Findings
from dataset_trainer.geometry import Frame
from dataset_trainer.image_check import ImageFacts
from dataset_trainer.inventory import ImageNames
from dataset_trainer.json_parts import json_parts
from dataset_trainer.keypoints import flipped_by_name, is_flip
from dataset_trainer.labels import BadAnnotation, SourceFile
from dataset_trainer.limits import DEFAULT_LIMITS
from dataset_trainer.mask_classes import _classes, _from_json, _from_lines
from dataset_trainer.object_check import ObjectRules
from dataset_trainer.run_length import bounds, check_runs, runs_from_text, text_from_runs, turned, turned_image
from dataset_trainer.safe_xml import parse_xml
from dataset_trainer.safe_yaml import load_plain_yaml
from dataset_trainer.version_builder import BuildOptions, build_version
from dataset_trainer.yolo_rows import RowLabeller
from hostile_archives import zip_of
from upload_parts import HEIGHT, INSTANCES, POSE, WIDTH

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
FACTS = ImageFacts("png", WIDTH, HEIGHT, 1, [], False, False)
IMAGE = SourceFile(Member(("0.png",), ZipInfo("0.png")), "train", key=CocoKey(0, 1, None))


def read_parts(text: bytes, piece: int = 1 << 20) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in json_parts(io.BytesIO(text), piece):
        if part.item:
            found[part.key].append(part.value)
            assert part.value == json.loads(part.text) or part.value != part.value or "NaN" in part.text
        else:
            found[part.key] = part.value
    return found


@pytest.fixture
def tiny_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_parts_module, "_CHUNK_BYTES", 3)


@quick
@given(content=st.dictionaries(st.text(max_size=5), JSON, max_size=5), indent=st.sampled_from([None, 1]))
def test_json_in_pieces_is_json(tiny_chunks: None, content: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(content, indent=indent, ensure_ascii=True).encode()
    assert repr(read_parts(text)) == repr(json.loads(text))


@quick
@given(content=st.dictionaries(st.text(max_size=5), JSON, min_size=1, max_size=4), cut=st.floats(0, 0.999))
def test_json_that_ends_in_the_middle_is_refused(tiny_chunks: None, content: dict[str, Any], cut: float) -> None:
    text = json.dumps(content).encode()
    with pytest.raises(BadAnnotation):
        read_parts(text[: int(cut * len(text))])


@quick
@given(text=st.binary(max_size=60))
def test_any_bytes_are_json_or_refused(tiny_chunks: None, text: bytes) -> None:
    try:
        read_parts(text, 40)
    except BadAnnotation as bad:
        assert bad.reason


@quick
@given(text=st.text(max_size=80) | st.text(alphabet="[]{}:,&*<-!?|>%@`'\" \n\tab0", max_size=80))
def test_any_text_is_yaml_or_refused(text: str) -> None:
    try:
        assert isinstance(load_plain_yaml(text), dict)
    except BadAnnotation as bad:
        assert bad.reason


@quick
@given(text=st.binary(max_size=80) | st.text(alphabet="<>/!?&;ab =\"'[]-", max_size=80).map(str.encode))
def test_any_bytes_are_xml_or_refused(text: bytes) -> None:
    try:
        assert parse_xml(text, DEFAULT_LIMITS).name
    except BadAnnotation as bad:
        assert bad.reason


@st.composite
def bitmaps(draw: st.DrawFn) -> Any:
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    return np.array(draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))).reshape(
        height, width
    )


def drawn_from(runs: list[int], height: int, width: int) -> Any:
    flat = np.repeat(np.arange(len(runs)) % 2, runs)
    return flat.reshape(width, height).T.astype(bool)


@quick
@given(bitmap=bitmaps(), orientation=st.integers(1, 8))
def test_run_lengths_are_the_bitmap(bitmap: Any, orientation: int) -> None:
    height, width = bitmap.shape
    text = run_lengths(bitmap)
    runs = runs_from_text(text)
    check_runs(runs, height, width)
    assert text_from_runs(runs) == text
    assert (drawn_from(runs, height, width) == bitmap).all()
    upright = np.asarray(turned_image(Image.fromarray(bitmap.astype(np.uint8)), orientation)).astype(bool)
    assert (drawn_from(turned(runs, height, width, orientation), *upright.shape) == upright).all()
    if bitmap.any():
        rows, columns = np.flatnonzero(bitmap.any(1)), np.flatnonzero(bitmap.any(0))
        box = (columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)
        assert bounds(runs, height) == box
    else:
        assert bounds(runs, height) is None


@quick
@given(text=st.text(max_size=12))
def test_any_text_is_run_lengths_or_refused(text: str) -> None:
    try:
        runs = runs_from_text(text)
    except ValueError:
        return
    assert all(isinstance(run, int) for run in runs)


@quick
@given(x=st.integers(0, 8), y=st.integers(0, 4), orientation=st.sampled_from([5, 6, 7, 8]))
def test_points_turn_like_pixels(x: int, y: int, orientation: int) -> None:
    image = Image.new("L", (9, 5))
    image.putpixel((x, y), 255)
    upright = np.asarray(turned_image(image, orientation))
    row, column = (int(where[0]) for where in np.nonzero(upright))
    frame = Frame(5, 9, orientation, 9, 5)
    assert frame.point(x + 0.5, y + 0.5) == (column + 0.5, row + 0.5)
    assert frame.box((x, y, 1, 1)) == (column, row, 1, 1)


VALUES = JSON | st.lists(st.floats() | st.integers(), max_size=8)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "id": VALUES,
        "category_id": st.sampled_from([7, 90, 5, "7"]) | VALUES,
        "bbox": VALUES | st.lists(st.floats(-9, 60), min_size=4, max_size=4),
        "segmentation": VALUES
        | st.lists(st.lists(st.floats(-9, 60), max_size=10), max_size=3)
        | st.fixed_dictionaries({"size": st.just([HEIGHT, WIDTH]) | VALUES, "counts": VALUES | st.just([400, 400])}),
        "keypoints": VALUES | st.lists(st.floats(-9, 60), min_size=6, max_size=6),
        "iscrowd": VALUES,
    },
)


def assert_sound(fields: dict[str, Any]) -> None:
    for found in fields.get("objects", ()):
        x, y, width, height = found["box"]
        assert x >= 0 and y >= 0 and width > 0 and height > 0
        assert x + width <= WIDTH + 0.02
        assert y + height <= HEIGHT + 0.02
        for points in found.get("polygons", ()):
            assert len(points) >= 6
            assert all(0 <= value <= WIDTH for value in points)
        if "rle" in found:
            check_runs(runs_from_text(found["rle"]["counts"]), HEIGHT, WIDTH)
        assert len(found.get("keypoints", ())) in (0, 2)
    json.dumps(fields, allow_nan=False)


@settings(quick, max_examples=250)
@given(entries=st.lists(ENTRIES, max_size=3), task=st.sampled_from(["object_detection", INSTANCES, POSE]))
def test_any_coco_annotation_is_an_object_or_noted(tmp_path: Path, entries: list[Any], task: str) -> None:
    index_of: dict[Id, int] = {7: 0, 90: 1}
    rules = ObjectRules(task, DEFAULT_LIMITS, 2)
    labeller = ObjectLabeller(AnnotationSpool(tmp_path / "spool"), index_of, ["a", "b"], rules)
    labels = labeller.label(IMAGE, [json.dumps(entry) for entry in entries], FACTS)
    assert labels.usable or any(note.severity == "bad" for note in labels.notes)
    assert_sound(labels.fields)


NUMBER = st.floats(-0.5, 1.5).map(lambda value: f"{value:.3f}") | st.sampled_from(["0", "1", "nan", "1e400", "x", "-0"])


@settings(quick, max_examples=150)
@given(
    rows=st.lists(st.lists(NUMBER, min_size=1, max_size=12), max_size=3),
    task=st.sampled_from(["object_detection", INSTANCES, POSE]),
)
def test_any_yolo_row_is_an_object_or_noted(rows: list[list[str]], task: str) -> None:
    with ZipFile(io.BytesIO(zip_of())) as archive:
        labeller = RowLabeller(
            archive, ["a", "b"], (2, 3) if task == POSE else None, ObjectRules(task, DEFAULT_LIMITS, 2)
        )
    labels = labeller.label(IMAGE, "\n".join(map(" ".join, rows)), FACTS)
    assert_sound(labels.fields)


@quick
@given(value=JSON, text=st.text(max_size=40))
def test_any_classes_file_is_read_or_refused(value: Any, text: str) -> None:
    member = Member(("classes.json",), ZipInfo("classes.json"))
    for read, given_text in ((_from_json, json.dumps(value)), (_from_json, text), (_from_lines, text)):
        try:
            found = _classes(read(given_text), member, DEFAULT_LIMITS, Findings())
        except BadAnnotation as bad:
            assert bad.reason
        else:
            assert found is None or found.names


@quick
@given(
    names=st.lists(
        st.sampled_from(["left_eye", "right_eye", "nose", "L hip", "R hip", "leftFoot", "rightFoot"]), max_size=9
    )
)
def test_mirror_images_pair_up(names: list[str]) -> None:
    if len(set(names)) == len(names):
        assert is_flip(flipped_by_name(names), len(names))


@pytest.mark.parametrize(
    ("names", "flips"),
    [
        (["nose", "left_eye", "right_eye"], [0, 2, 1]),
        (["l_hip", "r_hip", "tail"], [1, 0, 2]),
        (["LeftFoot", "RightFoot"], [1, 0]),
        (["left_eye", "nose"], [0, 1]),
        (["bottom_left", "bottom_right", "top"], [1, 0, 2]),
    ],
)
def test_mirror_images_by_name(names: list[str], flips: list[int]) -> None:
    assert flipped_by_name(names) == flips


@pytest.mark.parametrize(
    ("name", "split", "found"),
    [
        ("1.png", "train", ["train2017/1.png"]),
        ("1.png", None, ["train2017/1.png", "val2017/1.png"]),
        ("train2017/1.png", "train", ["train2017/1.png"]),
        ("C:\\work\\val2017\\1.png", None, ["val2017/1.png"]),
        ("../../val2017/1.png", "val", ["val2017/1.png"]),
        ("2.png", "val", []),
        ("2.png", "train", ["train2017/sub/2.png"]),
        ("", "train", []),
    ],
)
def test_images_are_found_by_the_names_of_annotation_files(name: str, split: str | None, found: list[str]) -> None:
    paths = ("train2017/1.png", "val2017/1.png", "train2017/sub/2.png")
    names = ImageNames([Member(tuple(path.split("/")), ZipInfo(path)) for path in paths])
    assert [member.name for member in names.find(name, ("annotations",), split)] == found


ANY_NAMES = ["data.yaml", "train/a.xml", "a.json", "c.jsonl", "labels/a.txt"]
ANY_NAMES += ["masks/a.png", "images/a.png", "classes.json"]


@settings(quick, max_examples=40)
@given(
    names=st.lists(st.sampled_from(ANY_NAMES), unique=True),
    content=st.binary(max_size=30) | JSON.map(lambda value: json.dumps(value).encode()),
    task=st.sampled_from(["object_detection", INSTANCES, POSE, "semantic_segmentation", "image_captioning"]),
    format_name=st.sampled_from(["auto", "coco", "yolo", "voc", "masks", "captions"]),
)  # fmt: skip
def test_any_archive_ends_in_findings(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], content: bytes, task: str, format_name: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "upload.zip").write_bytes(zip_of(*((name, content) for name in names)))
    findings = Findings()
    options = BuildOptions(task=task, format=format_name)
    assert build_version(folder / "upload.zip", folder, options, findings, lambda done, total: None) is None
    assert findings.error_count
