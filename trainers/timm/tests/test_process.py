"""The trainer as the worker starts it: `python -m timm_trainer`, nothing imported before."""

from __future__ import annotations

from conftest import Jobs


def test_a_job_that_imports_everything_itself_ends_well(jobs: Jobs) -> None:
    trainer = jobs.start_cold(EPOCHS="1")
    assert trainer.wait() == 0, trainer.log
    events = trainer.events()
    assert (events[0]["type"], events[-1]["type"]) == ("started", "succeeded")
    assert {"torch", "timm", "timm-trainer"} <= set(events[0]["data"]["versions"])
    assert trainer.left_behind() == []
