"""Cuts the power of a real file system in a file: what was not made durable is gone.

A kill leaves to the next reader whatever the kernel has taken over; a cut leaves what was synced, so it alone
shows a missing fsync. It takes root and loop devices; `obstacle` tells what is in the way.
"""

import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.faults import strace
from tests.faults.scenarios import Scenario
from tests.faults.strace import Fate, Point
from tests.faults.sweep import KILL, Figures, Judge
from tests.processes import Zygote

KINDS = ("ext4", "xfs")
CUTS = {"without its log": 2, "with its log": 1}
"""The ways to go down, as the kernel's GOING_FLAGS: with the log, names last that have no contents."""
_SHUTDOWN = 0x8004587D
"""ext4's and XFS's ioctl to go down at once: `_IOR('X', 125, __u32)`."""
_SIZES = {"ext4": 48, "xfs": 300}
"""MiB; XFS makes none smaller."""
_MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
}
_SLOW = {"ext4": "loop,commit=300", "xfs": "loop"}
"""How to mount: with nothing written back of itself while a run goes on."""


class Disk:
    """A file system in a file."""

    def __init__(self, folder: Path, kind: str) -> None:
        """Makes and mounts an empty one."""
        self.kind, self.place = kind, folder / "disk"
        self._image, self._kept = folder / "image", folder / "kept"
        self.place.mkdir()
        with self._image.open("wb") as file:
            file.truncate(_SIZES[kind] << 20)
        _ask(*_MAKE[kind], str(self._image))
        self.mount()

    def mount(self) -> None:
        """Puts it in its place."""
        _ask("mount", "-t", self.kind, "-o", _SLOW[self.kind], str(self._image), str(self.place))

    def unmount(self) -> None:
        """Takes it away."""
        _ask("umount", str(self.place))

    def keep(self) -> None:
        """Remembers what it holds."""
        self.unmount()
        _ask("cp", "--sparse=always", str(self._image), str(self._kept))
        self.mount()

    def reset(self) -> None:
        """Holds what it is to remember."""
        self.unmount()
        self._image.unlink()  # over the old one, the kernel would take it for the same file system
        _ask("cp", "--sparse=always", str(self._kept), str(self._image))
        self.mount()

    def cut(self, flag: int) -> None:
        """Loses its power, and is put back."""
        descriptor = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", flag))
        finally:
            os.close(descriptor)
        self.unmount()
        self.mount()

    def close(self) -> None:
        """Takes it away, whatever became of it."""
        subprocess.run(["umount", "-l", str(self.place)], check=False, capture_output=True)


class PowerJudge(Judge):
    """A judge whose lake stands on a disk that may lose its power."""

    void = 1  # a claim need not be durable: one that lost its contents is passed over, and stays

    def __init__(self, zygote: Zygote, folder: Path, scenario: Scenario, kind: str, mutant: str = "") -> None:
        """Prepares the disk and the lake on it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.disk = Disk(folder, kind)
        try:
            super().__init__(zygote, folder, scenario, mutant)
        except BaseException:
            self.disk.close()
            raise

    def _place(self) -> Path:
        return self.disk.place / "lake"

    def _remember(self) -> None:
        self.disk.keep()

    def reset(self) -> None:
        """The disk as it was before."""
        self.disk.reset()

    def try_cut(self, point: Point | None, cut: str) -> list[str]:
        """Kills a run at a call, or lets it end, and cuts the power; returns what is broken then."""
        self.reset()
        traced = self.run(self._lines(self.state), Fate((point, KILL) if point else None))
        self.killed = strace.is_killed(traced.ended)
        self.disk.cut(CUTS[cut])
        broken = list(self.after(traced))
        return [f"{self.disk.kind} cut {cut}: {point or 'after the run'}: {one}" for one in broken]

    def sweep_cuts(self, points: Sequence[Point]) -> Figures:
        """Every cut at every point, and after the run."""
        found = Figures()
        for point in (*points, None):
            found.points += 1
            for cut in CUTS:
                found.faults += 1
                found.broken += self.try_cut(point, cut)
                found.hit += self.killed
        return found

    def close(self) -> None:
        """Takes the disk away."""
        self.disk.close()


def obstacle(kind: str) -> str | None:
    """Why no power can be cut here, or None."""
    missing = [name for name in (_MAKE[kind][0], "mount", "strace") if shutil.which(name) is None]
    if missing:
        return f"{missing[0]} is not here"
    if os.geteuid():
        return "mounting a file system takes root"
    with tempfile.TemporaryDirectory() as folder:
        try:
            disk = Disk(Path(folder), kind)
        except OSError as error:
            return f"no file system can be mounted here ({error})"
        try:
            disk.cut(CUTS["with its log"])
        except OSError as error:
            return f"no file system can be shut down here ({error})"
        finally:
            disk.close()
    return None


def quick_folder() -> str | None:
    """Where disks are made: in memory, if there is such a place."""
    place = "/dev/shm"  # noqa: S108 - folders of their own are made in it
    return place if os.access(place, os.W_OK) else None


def _ask(*argv: str) -> None:
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{argv[0]}: {done.stderr.strip() or done.returncode}")
