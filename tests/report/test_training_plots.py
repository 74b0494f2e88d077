"""Losses by task, from the log's lines."""

from synthetic_run import step_report

from openflan.report.training_plots import loss_drawing, task_curves, task_loss_drawing
from openflan.training.metrics import StepReport

CLUSTERS = {"rte": "natural_language_inference", "sst2": "sentiment", "absent": "sentiment"}


def line(**losses: float) -> StepReport:
    return step_report(task_loss=losses)


def test_a_tasks_curve_is_the_mean_over_seeds_of_the_steps_that_hold_it():
    logs = {0: [line(rte=4.0), line(sst2=1.0), line(rte=2.0)], 1: [line(rte=2.0), line(), line(rte=1.0)]}
    rte, sst2 = task_curves(logs, CLUSTERS)
    assert (rte.task, rte.cluster, rte.steps, rte.losses) == ("rte", "natural_language_inference", (1, 3), (3.0, 1.5))
    assert (sst2.steps, sst2.losses) == ((2,), (1.0,))


def test_long_trainings_are_drawn_in_stretches_that_hold_every_step_once():
    logs = {0: [line(rte=float(step)) for step in range(1_000)]}
    (rte,) = task_curves(logs, CLUSTERS)
    assert len(rte.steps) == 40
    assert rte.steps[-1] == 1_000
    assert sum(rte.losses) / 40 == sum(range(1_000)) / 1_000


def test_a_log_that_does_not_tell_tasks_has_no_curves():
    assert task_curves({0: [line()], 1: []}, CLUSTERS) == []


def test_the_table_holds_what_is_drawn():
    logs = {7: [line(rte=3.0), line(rte=2.0)]}
    assert loss_drawing(logs).data.rows == [("7", 1, 1.0, 1.0, 1.0), ("7", 2, 1.0, 1.0, 1.0)]
    drawn = task_loss_drawing(task_curves(logs, CLUSTERS))
    assert drawn.data.text.splitlines()[1:] == [
        "natural_language_inference,rte,1,3",
        "natural_language_inference,rte,2,2",
    ]
    assert "rte 3.00 to 2.00" in drawn.narrow
