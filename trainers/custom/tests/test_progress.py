"""Lines of the four known repositories, TensorBoard files, and everything a hostile log may hold."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_trainer.log_files import LONGEST_LINE, LineSplitter, LogFiles
from custom_trainer.manifest_progress import Progress
from custom_trainer.progress_lines import LineReader, Update
from custom_trainer.progress_sources import ProgressSources
from custom_trainer.tensorboard_events import EventFile, Scalar
from tfevents import event


def source(**fields: Any) -> Progress:
    return Progress.model_validate({"from": "stdout", "kind": "epoch", **fields})


def test_convnext_json_lines() -> None:
    reader = LineReader(
        source(format="json_lines", epoch_base=0, metrics={"test_acc1": {"name": "val/top1", "scale": 0.01}})
    )
    line = '{"train_loss": 1.2, "test_acc1": 81.25, "epoch": 3, "n_parameters": 28000000}'
    assert reader.read(line) == Update("epoch", epoch=4, values={"val/top1": 0.8125})


def test_yolov7_results_table() -> None:
    columns = ["epoch", "mem", "box", "obj", "cls", "total", "labels", "img", "P", "R", "mAP50", "mAP"]
    reader = LineReader(
        source(
            format="csv",
            delimiter=None,
            columns=columns,
            epoch_base=0,
            metrics={"mAP50": "val/mAP50", "total": "train/loss"},
        )
    )
    update = reader.read("      0/9     1.2G   0.1   0.02   0.03    0.15    7   320   0.5  0.4  0.41   0.2")
    assert update == Update("epoch", epoch=1, epochs=9, values={"val/mAP50": 0.41, "train/loss": 0.15})


def test_paddle_log_line() -> None:
    pattern = r"Epoch: \[(?P<epoch>\d+)\] \[ *(?P<step>\d+)/(?P<steps>\d+)\].* loss: (?P<loss>[-\d.nae]+)"
    reader = LineReader(
        source(kind="step", format="regex", pattern=pattern, epoch_base=0, step_base=0, metrics={"loss": "train/loss"})
    )
    line = "[11/21 04:00:00] ppdet.engine INFO: Epoch: [0] [ 20/146] learning_rate: 0.000013 loss: 3.25 eta: 0:10:00"
    assert reader.read(line) == Update("step", epoch=1, step=21, steps=146, values={"train/loss": 3.25})


def test_mmpose_json_by_mode() -> None:
    reader = LineReader(source(format="json_lines", where={"mode": "val"}, metrics={"AP": "val/mAP50_95_pose"}))
    assert reader.read('{"mode": "train", "epoch": 1, "iter": 50, "loss": 0.1}') is None
    assert reader.read('{"mode": "val", "epoch": 10, "AP": 0.61}') == Update(
        "epoch", epoch=10, values={"val/mAP50_95_pose": 0.61}
    )


def test_csv_with_header_and_nested_json() -> None:
    reader = LineReader(source(format="csv", metrics={"val/acc": "val/top1"}))
    assert reader.read("epoch, val/acc") is None
    assert reader.read("1, 0.5") == Update("epoch", epoch=1, values={"val/top1": 0.5})
    nested = LineReader(source(format="json_lines", epoch="at.epoch", metrics={"val.acc": "val/top1"}))
    assert nested.read('noise {"at": {"epoch": 2}, "val": {"acc": 1}}') == Update(
        "epoch", epoch=2, values={"val/top1": 1.0}
    )


@pytest.mark.parametrize("form", ["json_lines", "csv", "regex"])
@given(line=st.text(max_size=200))
def test_no_line_breaks_a_reader(form: str, line: str) -> None:
    extra = {"pattern": r"(?P<epoch>\S+) (?P<loss>.*)"} if form == "regex" else {}
    reader = LineReader(source(format=form, metrics={"loss": "train/loss"}, **extra))
    for text in ("epoch,loss", line, f'{{"epoch": {json.dumps(line)}}}', '{"epoch": 1e999, "loss": NaN}', "[" * 5000):
        reader.read(text)


def test_a_cruel_pattern_takes_no_time() -> None:
    reader = LineReader(source(format="regex", pattern=r"(?P<epoch>(a+)+)+$"))
    started = time.monotonic()
    reader.read("a" * 60_000 + "b")
    assert time.monotonic() - started < 1


@given(
    st.lists(st.sampled_from([b"ab", b"\r", b"\n", b"\r\n", b"", b"c" * 10, b"\xff\xfe"]), max_size=30),
    st.integers(1, 7),
)
def test_lines_do_not_depend_on_the_pieces(parts: list[bytes], size: int) -> None:
    whole = b"".join(parts)
    splitter = LineSplitter()
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    found = [line for piece in pieces for line, _ in splitter.feed(piece)]
    found += [line for line, _ in splitter.rest()]
    expected = [line.decode(errors="replace") for line in whole.replace(b"\r", b"\n").split(b"\n") if line]
    assert found == expected


def test_long_lines_are_cut() -> None:
    splitter = LineSplitter()
    lines = [line for _ in range(10) for line, _ in splitter.feed(b"x" * 50_000)]
    lines += [line for line, _ in splitter.feed(b"end\nnext\n")]
    assert [len(line) for line in lines] == [LONGEST_LINE, 4]


def test_files_are_followed_and_begun_anew(tmp_path: Path) -> None:
    log = tmp_path / "a.txt"
    log.write_text("old\n")
    files = LogFiles(str(tmp_path / "*.txt"))
    assert list(files.poll()) == []
    with log.open("a") as file:
        file.write("one\ntw")
    assert [line for _, line in files.poll()] == ["one"]
    with log.open("a") as file:
        file.write("o\n")
    (tmp_path / "b.txt").write_text("three")
    assert [line for _, line in files.poll(last=True)] == ["two", "three"]
    log.write_text("1\n")
    assert [line for _, line in files.poll()] == ["1"]
    (tmp_path / "c.txt").symlink_to("/etc/passwd")
    assert list(files.poll()) == []


def test_tensorboard_files(tmp_path: Path) -> None:
    path = tmp_path / "run" / "events.out.tfevents.1"
    path.parent.mkdir()
    whole = event(1, "val/acc", 0.5) + event(2, "val/acc", 0.75, tensor=True) + event(2, "other", 1.0)
    path.write_bytes(whole[:-5])
    file = EventFile(path)
    assert list(file.poll()) == [Scalar("val/acc", 1, 0.5), Scalar("val/acc", 2, 0.75)]
    path.write_bytes(whole)
    assert list(file.poll()) == [Scalar("other", 2, 1.0)]
    spec = source(
        **{"from": "file"}, path="${output}", format="tensorboard", epoch_base=0, metrics={"val/acc": "val/top1"}
    )
    sources = ProgressSources([spec], {"output": tmp_path})
    assert list(sources.read_files()) == []
    with path.open("ab") as added:
        added.write(event(3, "val/acc", 1.0))
    assert list(sources.read_files()) == [Update("epoch", epoch=4, values={"val/top1": 1.0})]


@given(st.binary(max_size=300))
def test_no_event_file_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("events") / "tfevents"
    path.write_bytes(struct.pack("<QI", len(content), 0) + content + b"\0\0\0\0" + content)
    list(EventFile(path).poll())
