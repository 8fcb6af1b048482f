"""Numbers in, words for people out. Pure."""

from collections.abc import Sequence
from datetime import timedelta

BARS, PLAIN_BARS = "▁▂▃▄▅▆▇█", "_.-=+*#@"


def readable_bytes(count: int) -> str:
    """Writes a size: `14 kB`."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 - SI units
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"  # noqa: PLR2004
        size /= 1000
    return f"{size:.1f} TB"


def readable_time(length: timedelta) -> str:
    """Writes a length of time: `3 h`, `26 h`, `4 d`."""
    seconds = max(length.total_seconds(), 0)
    for unit, size, most in (("s", 1, 100), ("min", 60, 100), ("h", 3600, 48)):
        if seconds / size < most:
            return f"{int(seconds / size)} {unit}"
    return f"{int(seconds / 86400)} d"


def sparkline(values: Sequence[int], bars: str = BARS) -> str:
    """Draws values as a row of bars, from zero up, so that a small change looks small."""
    top = max(values, default=0)
    if not top:
        return bars[0] * len(values)
    return "".join(bars[min(len(bars) - 1, value * len(bars) // top)] for value in values)


def plural(count: int, noun: str) -> str:
    """`1 dataset`, `2 datasets`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
