"""The studio's frame: who may talk to it, what its pages may load, and what it keeps."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
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


def test_a_link_with_a_token_opens_what_it_links_to_and_nothing_elsewhere(client_of):
    client = client_of(token="right")
    page = client.get("/mixture?recipe=flan&steps=5")
    assert 'name="recipe" value="flan"' in page.text
    assert "<script>" not in client.get('/mixture?x="><script>').text
    opened = client.get("/mixture?recipe=flan&steps=5&token=right", follow_redirects=False)
    assert opened.headers["location"] == "/mixture?recipe=flan&steps=5"
    client.cookies.clear()
    elsewhere = client.get("http://127.0.0.1:7860//evil.example/?token=right", follow_redirects=False)
    assert elsewhere.headers["location"] == "/evil.example/"


@pytest.mark.parametrize("others", ["a/b=1", "a,b=1", "x=a b", 'x="y', "openflan_studio_9000=theirs"])
def test_cookies_of_other_programs_on_this_machine_do_not_matter(client_of, others):
    client = client_of(token="right")
    kept = client.get("/mixture?token=right", follow_redirects=False).headers["set-cookie"].partition(";")[0]
    client.cookies.clear()
    assert client.get("/mixture", headers={"Cookie": f"{others}; {kept}"}).status_code == 200
    assert client.get("/mixture", headers={"Cookie": others}).status_code == 401


def test_a_run_behind_a_link_that_leads_out_is_neither_listed_nor_read(client_of, tmp_path):
    outside = tmp_path / "elsewhere" / "theirs"
    (outside / "mixture").mkdir(parents=True)
    recipe = openflan.Run("starter").recipe.model_copy(update={"name": "theirs-only"})
    (outside / "recipe.yaml").write_text(openflan.recipe_text(recipe, folder=outside), encoding="utf-8")
    (outside / "mixture" / "leakage.json").write_text("{}", encoding="utf-8")
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "linked").symlink_to(outside)
    client = client_of(runs=runs)
    for path in ("/runs", "/mixture", "/mixture/certificate", "/compare", "/ask"):
        assert "linked" not in client.get(path).text
    for path in ("/runs/linked", "/mixture?recipe=run+linked", "/mixture/certificate?run=linked", "/ask?run=linked"):
        assert "theirs-only" not in client.get(path).text


@pytest.mark.parametrize("name", ["%00", "x" * 300, "%2e%2e", "%f0%9f%98%80"])
def test_a_name_that_is_none_is_one_line(client, name):
    page = client.get(f"/runs/{name}")
    assert (page.status_code, page.text.count('role="alert"')) == (422, 1)


def test_a_table_may_have_a_long_name(client, folder):
    table = ("long" * 80 + ".csv", b"text,label\ngood,yes\nbad,no\n")
    assert client.post("/new", files={"table": table}, follow_redirects=False).status_code == 303
    assert [path.suffix for path in folder.rglob("*") if path.is_file()] == [".csv"]


def test_a_fault_of_ours_is_one_line_with_the_guards_headers(client, monkeypatch):
    def broken(*_given, **_more):
        raise KeyError("ours")

    monkeypatch.setattr(openflan, "list_recipes", broken)
    from starlette.testclient import TestClient

    page = TestClient(client.app, base_url=str(client.base_url), raise_server_exceptions=False).get("/mixture")
    assert page.status_code == 500
    assert "openflan is at fault here (KeyError)" in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]


def test_paths_outside_the_folders_are_refused(folder, tmp_path):
    folders = openflan.StudioFolders(folders=(folder,), runs=tmp_path / "runs")
    (tmp_path / "secret").write_text("x")
    (folder / "link").symlink_to(tmp_path / "secret")
    assert folders.confined(folder / "a.yaml") == (folder / "a.yaml").resolve()
    for path in (tmp_path / "secret", folder / "link", folder / ".." / "secret", "/etc/passwd"):
        with pytest.raises(openflan.UserError, match="outside"):
            folders.confined(path)


@pytest.fixture
def secret(tmp_path):
    """Rows of others, which lie in none of the folders."""
    path = tmp_path / "secret.jsonl"
    path.write_text('{"text": "not for you", "label": "good"}\n', encoding="utf-8")
    return path


OWN = {
    "name": "mine_only",
    "cluster": "sentiment",
    "fields": ["text", "label"],
    "source": {"files": {"train": "rows.jsonl"}},
    "splits": {"train": "train"},
    "answer": {"field": "label", "options": ["bad", "good"]},
    "metrics": ["accuracy"],
    "templates": [{"input": "{{text}}\n{{options}}"}],
}


@pytest.mark.parametrize("rows", ["rows.jsonl", "../secret.jsonl"])
def test_rows_behind_a_link_or_a_path_that_leads_out_are_refused(client, folder, secret, rows):
    (folder / "rows.jsonl").symlink_to(secret)
    task = {**OWN, "source": {"files": {"train": rows}}}
    (folder / "mine_only.yaml").write_text(json.dumps(task), encoding="utf-8")
    for path in ("/tasks/mine_only", "/tasks/mine_only/row?row=0", "/tasks/mine_only/count", "/template?task=mine_only",
                 "/ask?task=mine_only&row=0", "/tasks/mine_only/tokens?row=0"):  # fmt: skip
        page = client.get(path)
        assert "not for you" not in page.text
        assert "lies outside the folders" in page.text


def test_a_task_file_behind_a_link_that_leads_out_is_refused(client, folder, tmp_path):
    (tmp_path / "theirs.yaml").write_text(json.dumps(OWN), encoding="utf-8")
    (folder / "mine_only.yaml").symlink_to(tmp_path / "theirs.yaml")
    page = client.get("/")
    assert (page.status_code, "mine_only.yaml: lies outside the folders" in page.text) == (422, True)


def test_a_recipe_behind_a_link_that_leads_out_is_not_listed(client, folder, tmp_path):
    recipe = openflan.Run("starter").recipe.model_copy(update={"name": "theirs-only"})
    (tmp_path / "theirs.yaml").write_text(openflan.recipe_text(recipe, folder=tmp_path), encoding="utf-8")
    (folder / "theirs.yaml").symlink_to(tmp_path / "theirs.yaml")
    assert "theirs" not in client.get("/mixture?recipe=flan").text
    assert "theirs-only" not in client.get("/mixture?recipe=theirs.yaml").text


def test_a_recipe_plans_with_no_folder_outside(client, folder, tmp_path):
    (tmp_path / "others").mkdir()
    given = openflan.Run("starter", settings={"tasks.folders": [str(tmp_path / "others")], "name": "far"}).recipe
    openflan.write_recipe(given, folder / "far.yaml")
    assert "others: lies outside the folders" in client.get("/mixture?recipe=far.yaml").text


@pytest.mark.parametrize("linked", ["cola/train.jsonl", "cola"])
def test_a_folder_of_data_is_read_as_far_as_it_reaches(client_of, tmp_path, secret, linked):
    data = tmp_path / "data"
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "train.jsonl").write_text('{"sentence": "not for you", "label": 1, "idx": 0}\n')
    (data / linked).parent.mkdir(parents=True)
    (data / linked).symlink_to(tmp_path / "theirs" / ("" if linked == "cola" else "train.jsonl"))
    client = client_of(data=str(data))
    for path in ("/tasks/cola", "/mixture?recipe=flan"):
        page = client.get(path).text
        assert "not for you" not in page
        assert "lies outside the folders" in page


def test_a_link_that_stays_inside_is_followed(client, folder, secret):
    secret.rename(folder / "kept.jsonl")
    (folder / "rows.jsonl").symlink_to("kept.jsonl")
    (folder / "mine_only.yaml").write_text(json.dumps(OWN), encoding="utf-8")
    assert "not for you" in client.get("/tasks/mine_only").text


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


def test_a_port_that_is_taken_is_one_line(openflan, folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = openflan("studio", "--folder", folder, "--port", taken.getsockname()[1])
    assert code == 2
    assert "can't listen there (address already in use)" in err
    assert len(err.splitlines()) == 1


def test_the_extra_that_is_missing_is_one_line(openflan, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, _, err = openflan("studio", "--folder", folder)
    assert (code, 'pip install "openflan[studio]"' in err) == (2, True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_address_that_is_printed_answers(host, folder):
    if host == "::1":
        try:
            socket.create_server((host, 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("this machine has no IPv6")
    command = [sys.executable, "-m", "openflan", "studio", "--folder", str(folder), "--host", host, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ) as studio:
        try:
            address = studio.stdout.readline().split()[-1]
            with urllib.request.urlopen(f"{address}mixture", timeout=60) as page:
                assert page.status == 200
        finally:
            studio.send_signal(signal.SIGINT)
        output = studio.communicate(timeout=60)
    assert (studio.returncode, output[1]) == (0, "")


def test_starting_imports_neither_torch_nor_transformers():
    code = (
        "import sys, openflan; openflan.make_app(openflan.StudioFolders());"
        "print([m for m in ('torch', 'transformers', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_no_hub_is_asked_whatever_the_environment_says(tmp_path):
    """Rows that are not in the cache are one line; a hub that listens hears nothing."""
    with socket.create_server(("127.0.0.1", 0)) as hub, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        environment = {
            "HF_ENDPOINT": f"http://127.0.0.1:{hub.getsockname()[1]}",
            "HF_HOME": str(tmp_path),
            "HF_HUB_OFFLINE": "0",
        }
        command = [
            sys.executable,
            "-m",
            "openflan",
            "studio",
            "--port",
            str(port),
            "--data",
            "hub",
            "--runs",
            str(tmp_path),
        ]
        server = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            address = server.stdout.readline().removeprefix("openflan studio: ").strip()
            page = urllib.request.urlopen(f"{address}tasks/rte", timeout=60).read().decode()
        finally:
            server.terminate()
            server.communicate(timeout=20)
        hub.settimeout(0)
        with pytest.raises(BlockingIOError):
            hub.accept()
    assert "is not in the cache and the hub can&#39;t be reached" in page


def test_what_the_studio_starts_asks_no_hub_either(monkeypatch):
    from openflan.studio import app

    for name in app.OFFLINE:
        monkeypatch.setenv(name, "0")
    with pytest.raises(openflan.UserError):  # it stops before it listens
        openflan.serve_studio(openflan.StudioFolders(folders=(Path("no-such-folder"),)))
    command = [
        sys.executable,
        "-c",
        "import os, sys; print(*(os.environ[name] for name in sys.argv[1:]))",
        *app.OFFLINE,
    ]
    assert {*subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()} == {"1"}


@pytest.mark.parametrize(
    ("page", "parts"), [("/runs", {"answers", "figures"}), ("/ask", {"models"}), ("/hold-out", set()), ("/", set())]
)
def test_what_is_asked_for_next_is_imported_once_a_page_is_out(client, monkeypatch, page, parts):
    from starlette.testclient import TestClient

    from openflan.studio.app import Warming

    warmed: list[str] = []
    monkeypatch.setattr(openflan, "warm_up", lambda *parts: warmed.extend(parts))
    browser = TestClient(Warming(client.app, pause=0), base_url=str(client.base_url))
    before = {*threading.enumerate()}
    for _ in range(2):
        assert browser.get(page).status_code == 200
    for thread in {*threading.enumerate()} - before:
        thread.join(10)
    assert sorted(warmed) == sorted(parts)


def test_warming_up_imports_what_is_named():
    openflan.warm_up("figures")
    assert "matplotlib.backends.backend_svg" in sys.modules


def test_a_page_is_sent_at_once():
    """Without this the end of a page waits for the browser's word on its beginning, 40 ms."""
    from openflan.studio.app import _listening

    with _listening("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
