"""Jobs that tests have done by other processes."""

import os
import signal

from openflan.cores import tell
from openflan.errors import UserError

__all__ = ["describe", "die", "ready", "refuse", "say"]

_was_made_ready = False


def ready() -> None:
    """Remember that this was called."""
    global _was_made_ready  # noqa: PLW0603
    _was_made_ready = True


def describe() -> dict[str, object]:
    """Threads, and whether `ready` was called in this process."""
    return {"threads": os.environ["OMP_NUM_THREADS"], "ready": _was_made_ready}


def say(topic: str, value: int) -> None:
    """Tell something."""
    tell(topic, value)


def refuse() -> None:
    """Find something that the user can mend."""
    raise UserError("no answer", where="row 3")


def die() -> None:
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)
