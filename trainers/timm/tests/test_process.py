"""The trainer as the worker starts it: `python -m timm_trainer`, nothing imported before."""

from __future__ import annotations

from conftest import Jobs


def test_two_processes_that_import_everything_themselves_end_well(jobs: Jobs) -> None:
    trainer = jobs.start_cold(EPOCHS="1", NUM_PROCESSES="2")
    assert trainer.wait() == 0, trainer.log
    events = trainer.events()
    assert events[0]["data"]["world_size"] == 2
    assert (events[0]["type"], events[-1]["type"]) == ("started", "succeeded")
    assert {"torch", "timm", "timm-trainer"} <= set(events[0]["data"]["versions"])
    assert trainer.left_behind() == []
