"""How a stretch of time that is only roughly known is said: `45 s`, `12 min`, `3.5 h`."""

__all__ = ["rough_time"]


def rough_time(seconds: float) -> str:
    """A time in the unit in which it is easily grasped."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:,.1f} h"
