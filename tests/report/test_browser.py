"""The three pages in headless Chromium, on a phone and on a desk: nothing overflows, the console stays empty."""

import pytest
from browser import Visit, find_chromium, visit
from synthetic_sides import make_comparison
from synthetic_study import make_study

from openflan.report.comparison_page import ComparisonFigures, render_comparison
from openflan.report.page import render_page
from openflan.study.figure import study_drawing
from openflan.study.page import render_study

WIDTHS = [400, 1_400]
FAULTY = "<!doctype html><p style='width:900px'>wide</p><script>console.error('no')</script>"


def comparison_page(material) -> str:
    sides = make_comparison(material)
    return render_comparison(sides, ComparisonFigures(sides))


def study_page(*, categories: bool) -> str:
    study = make_study(categories=categories)
    return render_study(study, study_drawing(study))


@pytest.fixture(scope="module")
def seen(material, tmp_path_factory) -> dict[str, list[Visit]]:
    """All pages in one call of the browser, for starting it takes seconds."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium here, so pages were not opened; install it (Debian: apt-get install chromium)")
    folder = tmp_path_factory.mktemp("pages")
    pages = {
        "run": render_page(material),
        "comparison": comparison_page(material),
        "study": study_page(categories=False),
        "study-of-categories": study_page(categories=True),
        "faulty": FAULTY,
    }
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    visits = visit(chromium, [folder / f"{name}.html" for name in pages], WIDTHS)
    return {page.stem: visited for page, visited in visits.items()}


@pytest.mark.parametrize("name", ["run", "comparison", "study", "study-of-categories"])
def test_nothing_overflows_and_the_console_stays_empty(seen, name):
    assert [visited.width for visited in seen[name]] == WIDTHS
    for visited in seen[name]:
        assert visited.scroll_width <= visited.width
        assert visited.wide == []
        assert visited.console == []
        assert visited.height > 2_000


def test_what_overflows_and_what_the_console_says_would_be_found(seen):
    phone, desk = seen["faulty"]
    assert phone.scroll_width > 400
    assert "wide</p>" in phone.wide[0]
    assert desk.wide == []
    assert len(phone.console) == 2
