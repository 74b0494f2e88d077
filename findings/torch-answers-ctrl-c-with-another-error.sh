#!/usr/bin/env bash
# torch 2.13.0.
#
# One would guess: Ctrl-C while a model is being built under `with torch.device(...)`, as loaders of models do, is a
# KeyboardInterrupt, so what handles that (saves, says how to go on, exits with 130) does.
#
# Behaviour: it may be `RuntimeError: trying to pop from empty mode stack`. Each torch function under the device takes
# the device off a stack and puts it back; Ctrl-C between the two leaves the stack empty, and the end of the `with`
# raises the other error over it. KeyboardInterrupt is its context alone, so `except Exception` catches a Ctrl-C, and a
# loader that reports what it catches says that the model is broken.
#
# Seen (Ctrl-C a random moment after the start, 1,000 times; two cores):
#     985 KeyboardInterrupt
#      15 RuntimeError: trying to pop from empty mode stack
#
# Fails when that changes: when no Ctrl-C of 1,000 comes out as anything but KeyboardInterrupt.
set -eu
unset PYTHONPATH
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy

cat > "$folder/interrupt.py" <<'PYTHON'
import collections
import random
import signal
import sys

import torch


def build():
    with torch.device("cpu"):
        while True:
            torch.nn.Linear(8, 8)


raised = collections.Counter()
random.seed(0)
signal.signal(signal.SIGALRM, signal.default_int_handler)  # as Ctrl-C: KeyboardInterrupt in the main thread
for _ in range(1_000):
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.001, 0.003))
        build()
    except KeyboardInterrupt:
        raised["KeyboardInterrupt"] += 1
    except Exception as error:
        assert isinstance(error.__context__, KeyboardInterrupt)
        raised[f"{type(error).__name__}: {error}"] += 1
for error, times in raised.most_common():
    print(f"{times:5} {error}")
if set(raised) == {"KeyboardInterrupt"}:
    sys.exit("this has changed")
PYTHON
"$folder/venv/bin/python" "$folder/interrupt.py"
