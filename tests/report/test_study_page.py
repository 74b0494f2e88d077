"""The page of a study."""

import pytest
from synthetic_study import finding, make_study
from test_page import Reader

from openflan.errors import UserError
from openflan.report.numbers import plain_name
from openflan.study.figure import curves_of, study_drawing
from openflan.study.page import render_study, write_study_page


def read(study) -> Reader:
    return Reader(render_study(study, study_drawing(study)))


def test_it_opens_with_the_claim_and_the_finding_with_numbers_and_interval():
    text = " ".join(read(make_study()).text.split())
    assert "More clusters to tune on · Figure 6 of the paper" in text[:100]
    assert (
        "Confirmed: the tuned score with clusters 7 against clusters 1 differs by +7.0 points"
        " (95 % interval +5.0 to +10.0; by seed +6.0, +7.0 and +8.0); the paper has it higher." in text[:400]
    )
    assert "Does a model tuned on more clusters do better" in text


@pytest.mark.parametrize(
    ("verdict", "difference", "tone"),
    [("confirmed", 0.07, "gain"), ("reversed", -0.07, "loss"), ("not seen", 0.0, "none"), ("not tested", None, "none")],
)
def test_every_verdict_is_set_alike(verdict, difference, tone):
    study = make_study(findings=[finding(verdict, difference)])
    page = render_study(study, None)
    assert f'<span class="verdict-word {tone}">{verdict}</span>' in page


def test_failed_cells_are_named_with_their_message():
    reader = read(make_study())
    text = " ".join(reader.text.split())
    assert "1 of 6 cells failed: clusters=7,tasks=3." in text[:700]
    assert reader.row("clusters 7, tasks a cluster 3").endswith(
        "failed: tasks.use: no rows left in retell; check its split"
    )


def test_cells_whose_tuning_set_leaks_are_named():
    clean, leaking = (" ".join(read(make_study(certificate=word)).text.split()) for word in ("Clean", "Leaking"))
    assert "The tuning set of every cell is clean." in clean
    assert "The tuning set of 5 cells is leaking: clusters=1,tasks=1, " in leaking
    assert "Leaking: 3 of 60 held-out items." in leaking


@pytest.mark.parametrize("categories", [False, True])
def test_the_figure_draws_every_series_with_its_intervals(categories):
    study = make_study(categories=categories)
    drawing = study_drawing(study)
    assert drawing is not None
    assert [(curve.label, curve.hollow) for curve in curves_of(study)] == [
        ("tasks a cluster 1, untuned", True),
        ("tasks a cluster 1, tuned", False),
        ("tasks a cluster 3, untuned", True),
        ("tasks a cluster 3, tuned", False),
    ]
    for layout in (drawing.wide, drawing.narrow):
        assert "tasks a cluster 3, tuned: " in layout
        assert plain_name(study.drawn[-1].x_label)[:20] in layout
    assert len(drawing.data.rows) == 2 * len(study.drawn)


def test_a_study_without_whole_cells_has_a_page():
    study = make_study().model_copy(update={"drawn": [], "points": [], "means": [], "findings": []})
    assert study_drawing(study) is None
    text = " ".join(read(study).text.split())
    assert "No cell is whole yet." in text
    assert "The study tests no claim." in text


def test_the_page_and_its_tables_are_written_beside_the_account(tmp_path):
    (tmp_path / "study.json").write_text(make_study().model_dump_json(), encoding="utf-8")
    write_study_page(tmp_path)
    first = (tmp_path / "report.html").read_bytes()
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"study.csv", "cells-by-cluster.csv"}
    write_study_page(tmp_path)
    assert (tmp_path / "report.html").read_bytes() == first


@pytest.mark.parametrize(
    "text", ["{}", "nothing", make_study().model_copy(update={"schema_version": 0}).model_dump_json()]
)
def test_an_account_of_another_version_is_refused(tmp_path, text):
    (tmp_path / "study.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="no account of a study of schema version 1"):
        write_study_page(tmp_path)
