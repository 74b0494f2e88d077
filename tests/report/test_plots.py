"""Figures: what they draw, and that they fit the page they are put into."""

import re

import matplotlib
import pytest
from synthetic_run import step_report

from openflan.report.numbers import duration, outcome_words, signed
from openflan.report.plots import score_plot, template_strip
from openflan.report.training_plots import loss_drawing


def test_a_figure_takes_its_colours_and_typeface_from_the_page(material):
    groups = {"Held out": material.results.verdict.held_out}
    for drawn in (
        score_plot(groups, name="clusters", narrow=False),
        loss_drawing({0: [step_report(loss=3.0), step_report(loss=1.0)]}).narrow,
    ):
        assert "var(--tuned" in drawn
        assert set(re.findall(r"(?:fill|stroke): (#\w{6})", drawn)) <= {"#000000"}
        assert "DejaVu" not in drawn
        assert "natural language inference</text>" in drawn or "optimizer step</text>" in drawn


def test_identifiers_are_the_figures_own():
    first, second = (template_strip(n, [0.2, 0.3], [0.4, 0.5], 0.5) for n in (0, 1))
    assert not set(re.findall(r'id="([^"]+)"', first)) & set(re.findall(r'id="([^"]+)"', second))


def test_settings_of_the_user_do_not_reach_the_figure():
    straight = template_strip(0, [0.2], [0.4], 0.5)
    with matplotlib.rc_context({"lines.markersize": 30, "svg.fonttype": "path", "figure.dpi": 300}):
        assert template_strip(0, [0.2], [0.4], 0.5) == straight


def test_dollar_signs_and_markup_in_a_cluster_name_are_plain_text(material):
    verdict = material.results.verdict.held_out[0].model_copy(update={"cluster": "a$b$<i>"})
    drawn = score_plot({"Held out": [verdict]}, name="clusters", narrow=True)
    assert "a$b$&lt;i&gt;</text>" in drawn
    assert "<i>" not in drawn


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ((0.01, 0.2), "gain"),
        ((-0.01, 0.2), "no gain shown"),
        ((0.0, 0.2), "no gain shown"),
        ((-0.2, -0.1), "worse"),
    ],
)
def test_a_gain_is_shown_only_where_its_interval_leaves_out_zero(interval, words):
    assert outcome_words(interval) == words


def test_numbers_read_as_in_print():
    assert [signed(x) for x in (0.051, -0.051, 0.0001, -0.0001)] == ["+5.1", "\N{MINUS SIGN}5.1", "0.0", "0.0"]
    assert [duration(x) for x in (3.21, 59.6, 205, 3723)] == ["3.2 s", "1 min", "3 min 25 s", "1 h 2 min"]
