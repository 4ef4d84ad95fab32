"""The kernel decorator: settings, cache and threads."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from numba.core.errors import TypingError
from numpy.typing import NDArray

from dcsim import kernel as kernel_module
from dcsim.kernel import kernel, serial_and_threaded, set_threads

F32 = NDArray[np.float32]
ROOT = Path(__file__).parents[1]


@kernel
def squared(x: float) -> float:
    return x * x


@kernel
def total(values: F32) -> float:
    result = 0.0
    for i in range(values.size):
        result += squared(values[i])
    return result


def _halve(values: F32, out: F32, first: int, last: int) -> None:
    for i in range(first, last):
        out[i] = values[i] / np.float32(2)


halve, halve_threaded = serial_and_threaded(_halve, lambda values, _out: values.size)


@kernel(reduction=True)
def fast_total(values: F32) -> float:
    result = 0.0
    for i in range(values.size):
        result += values[i]
    return result


@kernel
def ratio(a: float, b: float) -> float:
    return a / b


def python(code: str, **env: str) -> list[str]:
    """Run *code* in a fresh interpreter and return the lines that it printed."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "DCSIM_"))}
    root = str(Path(kernel_module.__file__).parents[1])
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env=kept | {"PYTHONPATH": root} | env,
        check=True,
        capture_output=True,
        text=True,
    )
    return answer.stdout.split()


def test_kernel_equals_its_python_function() -> None:
    values = np.arange(10, dtype=np.float32)
    assert total(values) == total.py_func(values) == 285.0


def test_division_by_zero_is_an_infinity() -> None:
    assert ratio(1.0, 0.0) == np.inf


def test_products_are_fused_but_sums_keep_their_order() -> None:
    assert total.targetoptions["fastmath"] == {"contract"}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [0, 1, 2, 10_007])
def test_serial_and_threaded_forms_do_the_whole_range(threads: int, size: int) -> None:
    set_threads(threads)
    values = np.linspace(1, 2, size, dtype=np.float32)
    one, many = np.zeros_like(values), np.zeros_like(values)
    halve(values, one)
    halve_threaded(values, many)
    assert one.tobytes() == many.tobytes() == (values / 2).tobytes()


def test_a_fault_in_another_thread_is_raised() -> None:
    set_threads(2)
    with pytest.raises(TypingError):
        halve_threaded(np.ones(4, np.float32), None)


def test_reduction_does_not_depend_on_where_the_slice_lies_in_memory() -> None:
    values = np.random.default_rng(0).random(1003).astype(np.float32)
    answers = set()
    for shift in range(16):
        moved = np.empty(1100, np.float32)[shift : shift + values.size]
        moved[:] = values
        answers.add(fast_total(moved))
    assert len(answers) == 1
    assert answers.pop() == pytest.approx(float(values.sum(dtype=np.float64)), rel=1e-12)


def test_set_threads_is_limited_to_the_cores() -> None:
    assert set_threads(1) == 1
    assert 1 <= set_threads(10_000) <= (os.cpu_count() or 1)
    with pytest.raises(ValueError, match="0 threads"):
        set_threads(0)


def test_hash_follows_every_kernel_source(tmp_path: Path) -> None:
    (tmp_path / "physics").mkdir()
    files = [tmp_path / "kernel.py", tmp_path / "draws.py", tmp_path / "physics" / "gpu.py"]
    for file in files:
        file.write_text("one")
    hashes = {kernel_module._source_hash(tmp_path)}
    for file in files:
        file.write_text("two")
        hashes.add(kernel_module._source_hash(tmp_path))
    (tmp_path / "other.py").write_text("not a kernel source")
    hashes.add(kernel_module._source_hash(tmp_path))
    assert len(hashes) == 4


CACHE = "import dcsim.draws as d, numba; d.uniform(1, 'a', 'b'); print(numba.config.CACHE_DIR)"


@pytest.mark.parametrize("first", ["", "import numba; "])
def test_cache_folder_is_ours_whoever_imports_numba_first(first: str, tmp_path: Path) -> None:
    (used,) = python(first + CACHE, DCSIM_CACHE_DIR=str(tmp_path))
    assert Path(used).parent == tmp_path
    assert list(Path(used).rglob("draws._fill*.nbc"))


def test_second_process_compiles_nothing(tmp_path: Path) -> None:
    code = CACHE + "; print(sum(d._fill.stats.cache_misses.values()))"
    first = python(code, DCSIM_CACHE_DIR=str(tmp_path))
    second = python(code, DCSIM_CACHE_DIR=str(tmp_path))
    assert (first[1], second[1]) == ("1", "0")


def test_unusable_cache_folder_falls_back_to_a_private_temporary_one(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    (used,) = python(CACHE, DCSIM_CACHE_DIR=str(blocked), TMPDIR=str(temporary))
    assert Path(used).parent == temporary / f"dcsim-{os.getuid()}"
    assert Path(used).stat().st_mode & 0o777 == 0o700


def test_no_usable_folder_at_all_still_runs() -> None:
    code = (
        "import pathlib\n"
        "def refuse(*a, **k): raise PermissionError\n"
        "pathlib.Path.mkdir = refuse\n" + CACHE
    )
    assert python(code, HOME="/nonexistent") == []


def test_folder_that_others_may_write_is_passed_over(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert kernel_module._writable([tmp_path]) is None
    tmp_path.chmod(0o700)
    assert kernel_module._writable([tmp_path]) == tmp_path


def test_the_folders_used_last_are_kept_and_no_one_elses_is_touched(tmp_path: Path) -> None:
    old = [tmp_path / f"numba-{age:016x}" for age in range(8)]
    for age, folder in enumerate(old):
        (folder / "physics").mkdir(parents=True)
        os.utime(folder, (1e9 - age, 1e9 - age))
    (tmp_path / "mine").mkdir()
    (used,) = python(CACHE, DCSIM_CACHE_DIR=str(tmp_path))
    kept = {Path(used), *old[: kernel_module.KEPT_COUNT], tmp_path / "mine"}
    assert set(tmp_path.iterdir()) == kept
    os.utime(Path(used), (1, 1))
    python(CACHE, DCSIM_CACHE_DIR=str(tmp_path))
    assert Path(used).stat().st_mtime > 1e9


def test_a_process_whose_folder_is_removed_while_it_waits_makes_it_again(tmp_path: Path) -> None:
    folder = tmp_path / "numba-0"
    entered = threading.Event()

    def enter() -> None:
        with kernel_module._alone_in(folder):
            entered.set()

    with kernel_module._alone_in(folder):
        waiting = threading.Thread(target=enter)
        waiting.start()
        assert not entered.wait(0.1)
        shutil.rmtree(folder)
    waiting.join(10)
    assert entered.is_set()
    assert (folder / "lock").exists()


COLLIDING = """
import sys
import numpy as np
from dcsim.physics.elementary import lowest_of_nodes, mean_of_nodes, total
dtype = np.dtype(sys.argv[1])
values = np.arange(64, dtype=dtype)
out = np.empty(8, dtype)
lowest_of_nodes(values, out)
assert out.tolist() == [0, 8, 16, 24, 32, 40, 48, 56], out
mean_of_nodes(values, out)
assert out[0] == 3.5, out
assert total(values) == 2016.0
"""


def test_processes_that_compile_at_once_do_not_mix_their_code(tmp_path):
    environment = {**os.environ, "DCSIM_CACHE_DIR": str(tmp_path)}
    for _round in range(2):
        running = [
            subprocess.Popen([sys.executable, "-c", COLLIDING, dtype], env=environment)
            for dtype in ("f4", "f8", "f4", "f8")
        ]
        assert [process.wait() for process in running] == [0] * 4


STEPS = """
import hashlib
import numpy as np
from dcsim.kernel import set_threads
from tests.analytic.test_gpu import Groups, scattered
set_threads(2)
for threaded in (False, True):
    world = Groups(scattered(1024), 8, ramp=0.003)
    for dt_s in (0.5, 7.0, 300.0):
        world.step(dt_s, threaded=threaded)
    columns = (np.ascontiguousarray(column).tobytes() for column in world.everything())
    print(hashlib.sha256(b"".join(columns)).hexdigest())
"""


def test_code_just_compiled_and_code_from_the_cache_give_the_same_bits(tmp_path):
    environment = {**os.environ, "DCSIM_CACHE_DIR": str(tmp_path)}
    printed = [
        subprocess.check_output([sys.executable, "-c", STEPS], env=environment, cwd=ROOT)
        for _time in ("compiled", "cached")
    ]
    assert len(set(b"".join(printed).split())) == 1
