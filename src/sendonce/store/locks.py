"""File locks by which instances on one machine know at once that another one is dead.

Each instance holds a lock on a file of its own, in a folder that belongs to the store; the kernel drops it with the
process, however it ends. A stopped process (SIGSTOP) keeps its lock: there the lease's time decides.
"""

import fcntl
import os
from collections.abc import Collection
from pathlib import Path


class InstanceLocks:
    """A folder with one locked file per living instance on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    def take(self, instance: str) -> None:
        """Hold the instance's lock until `drop` or the end of the process."""
        if instance in self._held:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            fd = os.open(self._folder / instance, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if self._is_at(instance, fd):
                break
            os.close(fd)  # somebody looked before it was locked, and took it for a dead one's
        self._held[instance] = fd

    def _is_at(self, instance: str, fd: int) -> bool:
        try:
            return os.path.samestat(os.stat(self._folder / instance), os.fstat(fd))
        except FileNotFoundError:
            return False

    def drop(self, instance: str) -> None:
        """Let go of it, and remove its file."""
        if instance in self._held:
            (self._folder / instance).unlink(missing_ok=True)
            self.release(instance)

    def release(self, instance: str) -> None:
        """Let go of it as the end of the process does."""
        fd = self._held.pop(instance, None)
        if fd is not None:
            os.close(fd)

    def any_alive(self) -> bool:
        """Some instance holds its lock."""
        return any(not self.is_dead(one) for one in self.all())

    def all(self) -> set[str]:
        """Who ran on this machine, living and dead, as far as their files were not removed yet."""
        return set(os.listdir(self._folder)) if self._folder.is_dir() else set()

    def knows(self, instance: str) -> bool:
        """It ran on this machine, and its file was not removed yet."""
        return (self._folder / instance).exists()

    def is_held(self, instance: str) -> bool:
        """Somebody holds the instance's lock."""
        return not self._look(instance, remove=False)

    def is_dead(self, instance: str) -> bool:
        """True when nobody holds the instance's lock. Removes the file of a dead one."""
        return self._look(instance, remove=True)

    def _look(self, instance: str, remove: bool) -> bool:
        if instance in self._held:
            return False
        try:
            fd = os.open(self._folder / instance, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            if remove:
                (self._folder / instance).unlink(missing_ok=True)
            return True
        finally:
            os.close(fd)

    def tidy(self, kept: Collection[str]) -> None:
        """Remove the files of dead instances but these."""
        for one in self.all() - set(kept):
            self.is_dead(one)


def beside(database: Path) -> Path:
    """The folder of a database's instances, by whatever link a process came to it."""
    real = database.resolve()
    return real.with_name(real.name + ".instances")
