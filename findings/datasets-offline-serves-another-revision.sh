#!/usr/bin/env bash
# datasets 5.2.0 (huggingface_hub 2.4.0), load_dataset(name, revision=COMMIT) with HF_HUB_OFFLINE=1.
#
# One would guess: once two commits were fetched, each can be loaded offline by its hash, and a commit that never was
# fetched is an error.
#
# Behaviour: offline the revision is not looked at. Whichever configuration was prepared last is served for any
# revision, also for one that is itself in the cache and for one that never existed. A log line says "Using the latest
# cached version of the dataset", nothing is raised. So data pinned by its commit is not pinned offline.
#
# Seen (a hub of one repository on 127.0.0.1; commit 111… holds "first"; 222…, which is main, "second"):
#   online, 222… 111…: second first; offline, 111… 222… 333…: first first first
#
# Fails when that changes.
set -eu
unset PYTHONPATH HF_HUB_OFFLINE HF_DATASETS_OFFLINE HF_DATASETS_CACHE HF_HUB_CACHE
folder=$(mktemp -d) hub=
trap 'kill $hub 2>/dev/null || :; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check datasets==5.2.0 huggingface_hub==2.4.0

cat > "$folder/hub.py" <<'PYTHON'
import json, re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMITS = {"1" * 40: b'{"text": "first"}\n', "2" * 40: b'{"text": "second"}\n'}

class Hub(BaseHTTPRequestHandler):
    log_message = lambda *_: None

    def reply(self, status, content, **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def do_GET(self):
        asked = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        named = re.search("1{40}|2{40}", self.path)
        commit = named[0] if named else "2" * 40  # main
        entry = {"type": "file", "path": "train.jsonl", "size": len(COMMITS[commit]), "oid": commit}
        if "/tree/" in self.path or "/paths-info/" in self.path:
            self.reply(200, [entry] if "/tree/" in self.path or "train.jsonl" in asked else [])
        elif "/resolve/" not in self.path:
            self.reply(200, {"id": "some/rows", "sha": commit, "tags": [], "siblings": [{"rfilename": "train.jsonl"}]})
        elif self.path.endswith("/train.jsonl"):
            self.reply(200, COMMITS[commit], ETag=f'"{commit}"', X_Repo_Commit=commit)
        else:
            self.reply(404, {}, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)

    do_HEAD = do_POST = do_GET

server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
print(server.server_port, flush=True)
server.serve_forever()
PYTHON
"$folder/venv/bin/python" -I "$folder/hub.py" > "$folder/port" & hub=$!
until [ -s "$folder/port" ]; do sleep 0.1; done
export HF_ENDPOINT="http://127.0.0.1:$(cat "$folder/port")" HF_HOME="$folder/home" HF_HUB_DISABLE_PROGRESS_BARS=1

text() {
  "$folder/venv/bin/python" -I -c 'import sys, datasets
datasets.disable_progress_bars()
print(datasets.load_dataset("some/rows", revision=sys.argv[1] * 40, split="train")[0]["text"])' "$1" 2>> "$folder/log"
}
online="$(text 2) $(text 1)"
kill "$hub"
export HF_HUB_OFFLINE=1
offline="$(text 1) $(text 2) $(text 3)"
echo "online, 222… 111…: $online; offline, 111… 222… 333…: $offline"
[ "$online" = "second first" ] && [ "$offline" = "first first first" ]
