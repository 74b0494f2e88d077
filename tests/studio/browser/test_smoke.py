"""One short way through the studio, from a run to its answers to a question, with everything that axe finds on it."""

import openflan
from studio_windows import served


def test_from_a_run_to_an_answer_to_a_reply(visit, looked_at):
    run = looked_at[0]
    with served(openflan.StudioFolders(runs=run.folder.parent)) as address:
        window = visit(address)
        page = window.go("/runs")
        page.get_by_role("link", name=run.folder.name).click()
        page.locator("#figure-loss svg:visible").wait_for()
        assert window.findings() == []
        page.get_by_role("link", name="Answers").click()
        page.get_by_label("show").select_option("all")
        page.get_by_label("task", exact=True).select_option("does_it_follow")
        page.wait_for_url("**task=does_it_follow**")
        page.locator("#answers h2", has_text="does_it_follow").first.wait_for()
        assert window.findings() == []
        page.get_by_role("link", name="Ask it again").first.click()
        page.get_by_role("button", name="Ask", exact=True).click()
        page.locator("#reply td", has_text="%").first.wait_for()
        page.locator("#reply:not([hx-get])").wait_for()
        assert page.locator("#reply table").count() == 2
        assert window.findings() == []
