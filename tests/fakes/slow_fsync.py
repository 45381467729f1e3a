"""A disk that takes its time: `fsync` and `fdatasync` of a process wait as a file says."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_as_told(void) {
    char text[16] = {0};
    int file = open(getenv("SLOW_FSYNC"), O_RDONLY);
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) > 0) usleep(1000 * atoi(text));
        close(file);
    }
}

#define SLOW(name) int name(int file) { \
    int (*honest)(int) = dlsym(RTLD_NEXT, #name); \
    wait_as_told(); \
    return honest(file); \
}
SLOW(fsync)
SLOW(fdatasync)
"""


class SlowFsync:
    """Put before the C library of every process that is started after it.

    Skips the test where there is no C compiler.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("a slow disk is made with a C compiler")
        self._told, library = folder / "slow", folder / "slow.so"
        command = [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", str(library), "-ldl"]
        subprocess.run(command, input=_SOURCE, text=True, check=True)
        self.wait(0)
        patch.setenv("SLOW_FSYNC", str(self._told))
        patch.setenv("LD_PRELOAD", str(library))

    def wait(self, milliseconds: int) -> None:
        """Let each call take so much longer from now on."""
        self._told.write_text(str(milliseconds), "ascii")
