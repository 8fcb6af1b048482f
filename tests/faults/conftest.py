"""One process that forks the target for all tests, where strace may be used."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.processes import Zygote


@pytest.fixture(scope="package")
def zygote() -> Iterator[Zygote]:
    if shutil.which("strace") is None:
        pytest.skip("strace, which injects the faults, is not here")
    if not _may_trace():
        pytest.skip("strace may not attach to processes here")
    zygote = Zygote("tests.faults.zygote")
    yield zygote
    zygote.close()


def _may_trace() -> bool:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            with subprocess.Popen(
                ["strace", "-p", str(process.pid)], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
            ) as tracer:
                assert tracer.stderr is not None
                told = tracer.stderr.readline()
                process.kill()
        finally:
            process.kill()
    return b"attached" in told
