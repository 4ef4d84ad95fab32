"""The only door to numba: how kernels are compiled, cached and threaded.

Kernels share one setting, so that results depend neither on the vector position of a row nor on
the number of threads: products may be fused into sums, nothing is reordered but the sums of a
declared reduction, and a division by zero gives an infinity.

Compiled code is kept in `<user cache>/dcsim/numba-<hash>`, the hash being that of every kernel
source: numba itself does not notice an edit in an imported module. `DCSIM_CACHE_DIR` replaces
`<user cache>/dcsim`. Where neither it nor a private temporary folder can be written, kernels
are compiled anew in each process. Processes take turns at it: numba names a file by counting what
its index holds, so two that save at once could leave one kernel's code under another's signature.
Of other sources' folders the `KEPT_COUNT` used last are kept; a process whose folder goes while it
runs makes it again.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

__all__ = ["Kernel", "kernel", "serial_and_threaded", "set_threads"]

P = ParamSpec("P")
R = TypeVar("R", covariant=True)

_EXACT = {"contract"}
_REDUCTION = {"contract", "reassoc", "nnan", "nsz"}
_CORES = os.cpu_count() or 1
_POOL = ThreadPoolExecutor(_CORES)
_threads = _CORES
KEPT_COUNT = 4
_SOURCES = ("kernel.py", "draws.py", "physics/**/*.py", "workload/**/*.py")


class Kernel(Protocol[P, R]):
    """A compiled function, called like the Python function that it is made from."""

    @property
    def py_func(self) -> Callable[P, R]:
        """The Python function that is compiled."""
        ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the machine code, compiling it first for argument types not seen before."""
        ...


def _source_hash(root: Path) -> str:
    """Return 16 hex digits that change with any kernel source below *root*, a folder."""
    digest = hashlib.sha256()
    for pattern in _SOURCES:
        for file in sorted(root.glob(pattern)):
            text = file.read_bytes()
            digest.update(f"{file.relative_to(root)} {len(text)}\n".encode() + text)
    return digest.hexdigest()[:16]


def _cache_parents() -> Iterator[Path]:
    """Yield the folders that may hold compiled code, the preferred one first."""
    override = os.environ.get("DCSIM_CACHE_DIR")
    user_cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if override:
        yield Path(override)
    elif os.path.isabs(user_cache):
        yield Path(user_cache) / "dcsim"
    yield Path(tempfile.gettempdir()) / f"dcsim-{os.getuid()}"


def _writable(folders: Iterable[Path]) -> Path | None:
    """Return the first of *folders* that can be made, is this user's, and takes a file.

    Compiled code is loaded blindly, so a folder that others may write is passed over.
    """
    for folder in folders:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            status = folder.stat()
        except OSError:
            continue
        if status.st_uid == os.getuid() and not status.st_mode & 0o022:
            return folder
    return None


def _cache_dir() -> Path | None:
    """Return the folder for the code compiled from the present sources, None if there is none."""
    name = f"numba-{_source_hash(Path(__file__).parent)}"
    folder = _writable(parent / name for parent in _cache_parents())
    if folder is not None:
        os.utime(folder)
        with suppress(OSError):
            _prune(folder)
    return folder


def _prune(used: Path) -> None:
    """Remove this user's folders beside *used*, but for those used last."""
    others = [(path.stat(), path) for path in used.parent.glob("numba-*") if path != used]
    mine = [(stat.st_mtime_ns, path) for stat, path in others if stat.st_uid == os.getuid()]
    for _, path in sorted(mine, reverse=True)[KEPT_COUNT:]:
        with _alone_in(path):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the lock of *folder*, which is made if it is not there (any more)."""
    while True:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.fstat(lock.fileno()).st_nlink:  # else it was removed while this one waited
                yield
                return


_CACHE_DIR = _cache_dir()
os.environ["NUMBA_CACHE_DIR"] = str(_CACHE_DIR or "")

import numba  # noqa: E402

# In case that numba was imported before.
numba.config.reload_config()  # type: ignore[no-untyped-call]


@overload
def kernel(function: Callable[P, R], /) -> Kernel[P, R]: ...


@overload
def kernel(*, reduction: bool = False) -> Callable[[Callable[P, R]], Kernel[P, R]]: ...


def kernel(
    function: Callable[P, R] | None = None,
    /,
    *,
    reduction: bool = False,
) -> Kernel[P, R] | Callable[[Callable[P, R]], Kernel[P, R]]:
    """Compile *function* when first called; its signature stays visible to type checkers.

    A *reduction*
    over one contiguous slice may be summed in the order that suits the processor: that order is
    fixed when it is compiled, whatever the number of threads.
    """

    def compiled(function: Callable[P, R]) -> Kernel[P, R]:
        jit = numba.njit(
            cache=_CACHE_DIR is not None,
            nogil=True,
            fastmath=_REDUCTION if reduction else _EXACT,
            error_model="numpy",
            # Otherwise a kernel's copy inside its caller is optimised once more, and whether the
            # caller takes that copy or the cached one changes the last bits of a result.
            forceinline=True,
        )
        dispatcher = jit(function)
        if _CACHE_DIR is not None:
            _take_turns(dispatcher._cache)  # type: ignore[attr-defined]
        return cast(Kernel[P, R], dispatcher)

    return compiled if function is None else compiled(function)


def _take_turns(cache: Any) -> None:
    """Let only one process at a time load from or save to *cache*, numba's of one kernel."""
    for name in ("load_overload", "save_overload"):
        setattr(cache, name, _locked(getattr(cache, name)))


def _locked(call: Callable[..., Any]) -> Callable[..., Any]:
    def alone(*args: Any) -> Any:
        with _alone_in(Path(str(_CACHE_DIR))):
            return call(*args)

    return alone


def serial_and_threaded(
    function: Callable[..., None], count_of: Callable[..., int]
) -> tuple[Callable[..., None], Callable[..., None]]:
    """Compile *function*, whose last two arguments are a range, and call it without them.

    The first form does all of 0 to `count_of(*args)` at once, the second shares it out over the
    threads of `set_threads`: parts of one range run at the same time, so they must not write to
    the same place. It costs some 30 us, so small worlds use the first. Both run the same code.
    """
    compiled = kernel(function)

    def serial(*args: Any) -> None:
        compiled(*args, 0, count_of(*args))

    def threaded(*args: Any) -> None:
        count = count_of(*args)
        ends = [count * part // _threads for part in range(_threads + 1)]
        others = [_POOL.submit(compiled, *args, *part) for part in pairwise(ends[1:])]
        compiled(*args, 0, ends[1])
        for other in others:
            other.result()

    return serial, threaded


def set_threads(count: int) -> int:
    """Let threaded kernels use *count* threads, at most one per core; return how many they are.

    Raises ValueError below 1.
    """
    global _threads
    if count < 1:
        raise ValueError(f"{count} threads: at least 1 is needed")
    _threads = min(count, _CORES)
    return _threads
