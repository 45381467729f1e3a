"""A disk under a power supply that fails at the n-th file operation, and forgets what it may.

While it is on, every call that changes the file system is one step. At the chosen step the power
fails: that call and all later ones raise `PowerCut`, and what a real disk need not have kept is
taken away: bytes of files that were not flushed, and new names in folders that were not flushed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

WRITES = os.O_WRONLY | os.O_RDWR


class PowerCut(BaseException):
    """The machine is off; nothing may catch this as an ordinary fault."""


class Power:
    """Patches `os` for the time of a `with` block.

    Args:
        patch: pytest's; undone by its own context.
        keep: Where copies of what a rename hides are kept.
        fails_at: Step that fails; None = never, to count the steps.
        forgets: What the disk loses of what was not flushed: "bytes", "names", or "nothing" where
            it had kept all by luck.
        unflushed: Files whose names begin so are never flushed, to see a guard missing.
    """

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        keep: Path,
        *,
        fails_at: int | None,
        forgets: str,
        unflushed: str = "\0",
    ) -> None:
        self._patch = patch
        self._keep = keep
        self._fails_at = fails_at
        self._forgets = forgets
        self.unflushed = unflushed
        self.steps = 0
        self._off = False
        self._dirty: set[Path] = set()
        self._renamed: list[tuple[Path, Path, Path | None]] = []
        self._real = {
            name: getattr(os, name)
            for name in ("open", "fsync", "replace", "rename", "mkdir", "unlink", "rmdir", "remove")
        }

    def __enter__(self) -> Self:
        """Switch on."""
        for name in ("mkdir", "unlink", "rmdir", "remove"):
            self._patch.setattr(os, name, self._counted(name))
        self._patch.setattr(os, "open", self._open)
        self._patch.setattr(os, "fsync", self._fsync)
        self._patch.setattr(os, "replace", self._rename)
        self._patch.setattr(os, "rename", self._rename)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the real calls back, and let the disk forget."""
        for name, call in self._real.items():
            self._patch.setattr(os, name, call)
        if self._off and self._forgets == "bytes":
            self._forget_bytes()
        if self._off and self._forgets == "names":
            self._forget_names()

    def _step(self) -> None:
        if self._off or self.steps == self._fails_at:
            self._off = True
            raise PowerCut
        self.steps += 1

    def _counted(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **how: Any) -> Any:  # noqa: ANN401 - any of os's calls
            self._step()
            return self._real[name](*args, **how)

        return call

    def _open(self, path: Any, flags: int, *args: Any, **how: Any) -> int:  # noqa: ANN401 - os.open's
        if flags & WRITES:
            self._step()
            self._dirty.add(Path(path).absolute())
        descriptor: int = self._real["open"](path, flags, *args, **how)
        return descriptor

    def _fsync(self, descriptor: int) -> None:
        self._step()
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.name.startswith(self.unflushed):
            return
        self._dirty.discard(path)
        self._renamed = [one for one in self._renamed if one[1].parent != path]

    def _rename(self, source: Any, target: Any, **_: Any) -> None:  # noqa: ANN401 - os.rename's
        self._step()
        old, new = Path(source).absolute(), Path(target).absolute()
        hidden: Path | None = None
        if new.is_file():
            hidden = self._keep / str(self.steps)
            shutil.copy(new, hidden)
        self._real["replace"](old, new)

        def moved(path: Path) -> Path:
            return new / path.relative_to(old) if path.is_relative_to(old) else path

        self._dirty = {moved(path) for path in self._dirty}
        self._renamed = [(moved(a), moved(b), kept) for a, b, kept in self._renamed]
        self._renamed.append((old, new, hidden))

    def _forget_bytes(self) -> None:
        for path in self._dirty:
            if path.is_file():
                path.write_bytes(b"")

    def _forget_names(self) -> None:
        for old, new, hidden in reversed(self._renamed):
            # A name that was removed or replaced since cannot be given back.
            if not new.exists() or not old.parent.is_dir():
                continue
            new.rename(old)
            if hidden is not None:
                shutil.copy(hidden, new)
