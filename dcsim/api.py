"""What `import dcsim` offers: simulate a scenario, and get the summary with the run."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from dcsim import simulation
from dcsim.accounting import write_summary
from dcsim.physics.site import default_models
from dcsim.processes.cast import Models
from dcsim.report.progress import progress as progress_line
from dcsim.scenario import Scenario
from dcsim.trace import Run
from dcsim.trace.run_folder import Status


class RunResult(NamedTuple):
    """A finished run: its folder, how it ended, and the content of its `summary.json`."""

    folder: Path
    status: Status
    summary: dict[str, Any]


def simulate(
    scenario: Scenario,
    *,
    models: Models = default_models,
    out: Path | None = None,
    inputs: Path | None = None,
    threads: int | None = None,
    progress: bool = False,
    report: bool = True,
    dtype: DTypeLike = np.float32,
) -> RunResult:
    """Simulate *scenario*, write its run folder, its summary and, for a *report*, its page.

    *models* gives the models of a site: `lambda site: [*default_models(site), Mine(site)]` adds
    one. *inputs* is an `inputs.arrow` to replay instead of drawing, *out* the folder itself,
    *dtype* the precision of per-GPU states; *progress* shows a line on stderr in a terminal.

    Raises ScenarioError or InputError before anything is written; OSError for a full disk and
    InvariantError for a fault of ours, both with the run marked failed and readable.
    """
    with progress_line(round(scenario.duration_s * 1e9), quiet=not progress) as show:
        outcome = simulation.run(
            scenario,
            models=models,
            out=out,
            inputs=inputs,
            threads=threads,
            show=show,
            dtype=dtype,
        )
    summary = write_summary(outcome.folder)
    if report:
        from dcsim.report.page import write_page

        write_page(Run(outcome.folder), summary)
    return RunResult(outcome.folder, outcome.status, summary.as_dict())
