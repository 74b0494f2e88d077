"""The studio's frame: who may talk to it, what its pages may load, and what it keeps."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import openflan

STUDIO = Path(openflan.__file__).parent / "studio"


def variables(text: str) -> dict[str, str]:
    return dict(re.findall(r"(--\w+): (#\w+);", text))


def test_the_frame_has_the_colours_of_the_report():
    report = (STUDIO.parent / "report" / "page.css").read_text(encoding="utf-8")
    studio = (STUDIO / "static" / "studio.css").read_text(encoding="utf-8")
    light, dark = report.partition("@media screen")[0], report.partition("@media screen")[2].partition("* {")[0]
    chosen = dict(re.findall(r'data-theme="(\w+)"\] \{(.*?)\}', studio, re.DOTALL))
    assert variables(chosen["light"]) == variables(light)
    assert variables(chosen["dark"]) == variables(dark)


def test_pages_load_nothing_from_elsewhere_and_no_script_in_line(client):
    for path in ("/template", "/mixture", "/new", "/mixture/certificate"):
        page = client.get(path)
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert not re.search(r'(src|href)="(https?:)?//', page.text)
        assert not re.search(r"<script(?![^>]*src=)|\son\w+=", page.text)
        for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
            assert client.get(address).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:7860", ""])
def test_a_name_that_was_pointed_here_is_refused(client, host):
    assert client.get("/mixture", headers={"Host": host}).status_code == 421
    assert client.get("/mixture", headers={"Host": "localhost:9000"}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://127.0.0.1:1"])
def test_another_sites_page_can_change_nothing(client, folder, origin):
    given = {"recipe": "starter", "name": "mine"}
    assert client.post("/mixture/save", data=given, headers={"Origin": origin}).status_code == 403
    assert not list(folder.iterdir())


def test_too_large_an_upload_is_refused_before_it_is_read(client):
    assert client.post("/new", content=b"", headers={"Content-Length": str(1 << 31)}).status_code == 413


def test_a_token_is_asked_for_and_kept_where_no_script_sees_it(client_of):
    client = client_of(token="right")
    assert client.get("/mixture").status_code == 401
    assert client.get("/mixture?token=wrong").status_code == 401
    assert client.get("/static/studio.css").status_code == 401
    opened = client.get("/mixture?token=right", follow_redirects=False)
    assert (opened.status_code, opened.headers["location"]) == (303, "/mixture")
    assert all(word in opened.headers["set-cookie"].lower() for word in ("httponly", "samesite=strict"))
    assert client.get("/mixture").status_code == 200


def test_paths_outside_the_folders_are_refused(folder, tmp_path):
    folders = openflan.StudioFolders(folders=(folder,), runs=tmp_path / "runs")
    (tmp_path / "secret").write_text("x")
    (folder / "link").symlink_to(tmp_path / "secret")
    assert folders.confined(folder / "a.yaml") == (folder / "a.yaml").resolve()
    for path in (tmp_path / "secret", folder / "link", folder / ".." / "secret", "/etc/passwd"):
        with pytest.raises(openflan.UserError, match="outside"):
            folders.confined(path)


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/nothing", "/mixture/x"])
def test_there_is_nothing_else(client, path):
    assert client.get(path).status_code == 404


def test_what_is_kept_is_bounded(client):
    from openflan.studio.views import Studio

    studio = Studio(openflan.StudioFolders())
    for number in range(1_000):
        assert studio.kept(number, lambda number=number: number) == number
    assert len(studio._kept) < 100


def test_a_task_that_is_written_while_the_studio_runs_is_seen(client, folder):
    assert client.get("/template?task=my_own").status_code == 422
    openflan.edit_template(
        openflan.Tasks()["rte"], {"input": "{{premise}} {{hypothesis}}"}, folder=folder, name="my_own"
    ).write()
    assert client.get("/template?task=my_own").status_code == 200


def test_the_command_says_what_is_missing(openflan, tmp_path):
    code, _, err = openflan("studio", "--folder", tmp_path / "none")
    assert (code, "no such folder" in err) == (2, True)


def test_starting_imports_neither_torch_nor_transformers():
    code = (
        "import sys, openflan; openflan.make_app(openflan.StudioFolders());"
        "print([m for m in ('torch', 'transformers', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
