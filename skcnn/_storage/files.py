"""Files that are read once, replaced in one step, and locked.

Python runs signal handlers between any two bytecodes, and a handler may raise an exception, as Ctrl-C does. So a single
call of a C function acquires a resource and records it. The function that releases it can be called twice, because the
first call may be interrupted.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar
from weakref import WeakSet

from skcnn._engine.surely import surely

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["Lock", "flush_folder", "read_file", "replace_file", "resolved"]

Result = TypeVar("Result")
_ALWAYS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # opening a pipe would wait for its other end
_CANNOT_LOCK = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_BLOCK = 2**24  # bytes


def resolved(path: str | os.PathLike[str], name: str) -> str:
    """Return the absolute path of a file, with all symbolic links resolved.

    Parameters
    ----------
    path : str or path-like
        The file need not exist.
    name : str
        What to call the path in error messages.

    Raises
    ------
    TypeError, ValueError
        If `path` is not a path, or is empty.
    OSError
        If it leads to a folder, a device, a pipe or a socket.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise TypeError(f"{name} must be a path, got {path!r}")
    text = os.fspath(path)
    if not text or "\0" in text or not _is_encodable(text):
        raise ValueError(f"{name} must be the path of a file, got {path!r}")
    whole = os.path.realpath(text)
    try:
        mode = os.stat(whole).st_mode
    except FileNotFoundError:
        if text.endswith(("/", os.sep)):
            raise OSError(errno.EISDIR, f"{name} must be the path of a file, but is that of a folder", text) from None
        return whole
    except OSError as error:
        if error.errno is None:  # it is from a signal handler
            raise
        raise OSError(error.errno, f"{name} cannot be used: {error.strerror}", text) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device, a pipe or a socket"
        code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise OSError(code, f"{name} must be the path of a file, but is {kind}", text)
    return whole


def _is_encodable(text: str) -> bool:
    """Return whether the system can have such a path: a text with half of a surrogate pair is none."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def read_file(path: str, begins: bytes, ends_at: int, ends: bytes) -> bytes | None:
    """Return the content of a file, or None if its beginning or end is wrong.

    Both are checked before the whole file is read, so that a large file of another kind takes no memory.

    Parameters
    ----------
    path : str
    begins : bytes
        What the file must begin with.
    ends_at : int
        How many bytes before its end the file must contain `ends`.
    ends : bytes
    """
    opened = _Descriptor()

    def read() -> bytes | None:
        descriptor = opened.open(path, os.O_RDONLY | _AT_ONCE)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size < len(begins) + ends_at:
            return None
        with open(descriptor, "rb", closefd=False) as file:
            found = file.read(len(begins))
            file.seek(status.st_size - ends_at)
            if (found, file.read(len(ends))) != (begins, ends):
                return None
            file.seek(0)
            return file.read(status.st_size)

    return surely(read, opened.close)


def replace_file(path: str, content: bytes | memoryview) -> None:
    """Write a file. If the process is killed meanwhile, the file has the old content or the new one.

    The content is written to a second file, with ``.part`` added to the name, flushed, and then renamed. Only one
    process at a time may do this (see `Lock`), so a second file that already exists was left by a killed process.

    Raises
    ------
    OSError
        Its `filename` is the path. The old file has not changed, and the second file has been removed.
    """
    part = _Part(path)

    def replace() -> None:
        with _blaming(path):
            part.write(content)
            part.rename()
            flush_folder(os.path.dirname(path))

    surely(replace, part.discard)


class _Part:
    """The second file of `replace_file`."""

    def __init__(self, path: str):
        self._path, self._part = path, path + ".part"
        self._opened = _Descriptor()
        self._status: os.stat_result | None = None

    def write(self, content: bytes | memoryview) -> None:
        self._remove_stale()
        descriptor = self._create()
        with memoryview(content) as rest:
            written = 0
            while written < len(rest):
                written += os.write(descriptor, rest[written : written + _BLOCK])
        _flush(descriptor)

    def rename(self) -> None:
        if not self._is_ours():  # without locks, another process may have replaced it
            raise OSError(errno.EBUSY, f"{os.path.basename(self._path)} is being written by another process")
        self._opened.close()
        os.replace(self._part, self._path)

    def discard(self) -> None:
        """Remove the file, unless it was renamed or belongs to another process."""
        is_ours = self._is_ours()
        self._opened.close()  # Windows cannot remove an open file
        if is_ours:
            with suppress(FileNotFoundError):
                os.unlink(self._part)
        self._status = None  # another file may get the same number now

    def _is_ours(self) -> bool:
        for descriptor in self._opened.open_ones:
            self._status = os.fstat(descriptor)
        return self._status is not None and _is_at(self._part, self._status)

    def _remove_stale(self) -> None:
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(os.lstat(self._part).st_mode):
                raise OSError(errno.EEXIST, f"{os.path.basename(self._part)} exists, but is not a file")
            os.unlink(self._part)

    def _create(self) -> int:
        """Create the file, with the mode of the file that it will replace."""
        mode = None
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(os.stat(self._path).st_mode)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK
        descriptor = self._opened.open(self._part, flags, 0o666 if mode is None else mode)
        if mode is not None and hasattr(os, "fchmod"):  # the umask may have removed bits
            with _ignoring(errno.EPERM, errno.EOPNOTSUPP):  # from file systems without modes
                os.fchmod(descriptor, mode)
        return descriptor


def _flush(descriptor: int) -> None:
    if sys.platform == "darwin":
        with _ignoring(errno.ENOTTY, errno.EINVAL, errno.EOPNOTSUPP):  # not every file system can
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync would not reach the disk
            return
    os.fsync(descriptor)


def flush_folder(folder: str) -> None:
    """Flush a folder, so that a new name in it survives a power failure, if the system can do this."""
    if os.name != "posix":
        return
    opened = _Descriptor()

    def flush() -> None:
        with _ignoring(errno.EACCES, errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF):
            os.fsync(opened.open(folder, os.O_RDONLY))

    surely(flush, opened.close)


@contextmanager
def _ignoring(*codes: int) -> Iterator[None]:
    """Suppress some errors of the system, but not an OSError from a signal handler, such as TimeoutError."""
    try:
        yield
    except OSError as error:
        if error.errno not in codes:
            raise


@contextmanager
def _blaming(path: str) -> Iterator[None]:
    """Make an OSError name this path, instead of the second file or no file."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:  # it is not from a signal handler
            error.filename, error.filename2 = path, None
        raise


class _Descriptor:
    """A file descriptor that is closed exactly once."""

    def __init__(self) -> None:
        self.open_ones: list[int] = []

    def open(self, path: str, flags: int, mode: int = 0o666) -> int:
        # one C function: no signal handler can run between opening the file and adding it to the list
        self.open_ones.extend(map(os.open, [path], [flags | _ALWAYS], [mode]))
        return self.open_ones[-1]

    def close(self) -> None:
        list(map(os.close, map(self.open_ones.pop, [-1] * len(self.open_ones))))  # also one C function


class Lock:
    """Lets only one process, and only one of its threads, use a file.

    Meanwhile, an empty file exists, with ``.lock`` added to the name. The operating system locks it, and releases it
    when the process is killed. If the file system does not support locks, all processes get this lock, and only
    `replace_file` notices if another process writes the same file at the same moment.

    Parameters
    ----------
    path : str
        A resolved path.
    name : str
        What to call the path in error messages.
    seconds : float
        How long to wait if another process has the lock.
    """

    def __init__(self, path: str, name: str, seconds: float = 0.0):
        self._path, self._name, self._seconds = path, name, seconds
        self._file = path + ".lock"
        self._opened = _Descriptor()
        _locks.add(self)

    def hold(self, function: Callable[[], Result]) -> Result:
        """Call a function while this process has the lock, and return its result.

        Raises
        ------
        OSError
            If another process or thread has the lock, or if the lock file cannot be created.
        """

        def acquire_and_call() -> Result:
            self._acquire()
            return function()

        return surely(acquire_and_call, self._release)

    def _acquire(self) -> None:
        end = time.monotonic() + self._seconds
        while not self._try():
            self._opened.close()
            if time.monotonic() > end:
                message = f"{self._name} is in use by another process or thread"
                raise OSError(errno.EBUSY, message, self._path)
            time.sleep(0.02 if self._seconds else 0)

    def _try(self) -> bool:
        """Try to lock the file. Return False if another process has the lock, or has just removed the file."""
        try:
            descriptor = self._opened.open(self._file, os.O_RDWR | os.O_CREAT | _NO_LINK | _AT_ONCE)
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EEXIST, f"{os.path.basename(self._file)} exists, but is not a file")
            return _lock(descriptor) and _is_at(self._file, status)
        except OSError as error:
            if error.errno is None:  # it is from a signal handler
                raise
            if error.errno == errno.ENOENT and not os.path.isdir(os.path.dirname(self._path)):
                raise OSError(errno.ENOENT, f"{self._name} is in a folder that does not exist", self._path) from None
            message = f"{self._name} cannot be written: {error.strerror} ({os.path.basename(self._file)})"
            raise OSError(error.errno, message, self._path) from error

    def _release(self) -> None:
        """Release the lock and remove its file. A file with content is kept, because no lock created it."""
        for descriptor in self._opened.open_ones:
            status = os.fstat(descriptor)
            is_ours = _lock(descriptor) or os.name == "nt"
            with _ignoring(errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY):
                is_ours = is_ours and _is_at(self._file, status)
                if os.name == "nt":  # an open file cannot be removed
                    self._opened.close()
                if is_ours and stat.S_ISREG(status.st_mode) and status.st_size == 0:
                    os.unlink(self._file)
        self._opened.close()

    def forget(self) -> None:
        """Give up the lock in a forked child. The parent keeps it."""
        self._opened.close()


def _is_at(path: str, status: os.stat_result) -> bool:
    """Return whether the file with this status is at a path, and was not removed or replaced by another process."""
    try:
        return os.path.samestat(status, os.lstat(path))
    except FileNotFoundError:
        return False


def _lock(descriptor: int) -> bool:
    """Lock a file without waiting. Return False if another process has locked it."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno is None:  # it is from a signal handler
            raise
        return error.errno in _CANNOT_LOCK
    return True


_locks: WeakSet[Lock] = WeakSet()


def _after_fork_in_child() -> None:
    for lock in list(_locks):
        lock.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
