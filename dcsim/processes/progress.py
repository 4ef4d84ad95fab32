"""What a job has done: steps, what of them is durable, and the segments of its time."""

from collections.abc import Callable
from math import floor, inf

from dcsim.inputs.records import ns
from dcsim.processes.log import NO_CAUSE, Write
from dcsim.processes.plan import JobPlan
from dcsim.processes.recovery import Tier
from dcsim.trace.schema import FACTORS, JOB_STATE_ID_OF
from dcsim.world import Site


class Progress:
    """Reads the job's row of physics; never writes it. The first segment begins at *from_ns*.

    `job.steps_count` counts all steps made; those that were lost are subtracted here.
    """

    def __init__(self, site: Site, plan: JobPlan, write: Write, from_ns: int) -> None:
        self._row = site.job
        self._plan = plan
        self._write = write
        self._lost = 0.0
        self._saves: list[tuple[int, float]] = []
        self._local_steps = 0.0
        self._remote_steps = 0.0
        self._ran_ns = 0
        self._ran_from_ns: int | None = None
        self._evaluated_ns = 0
        self._saved_ns = 0
        self._state = "queued"
        self._cause = NO_CAUSE
        self._from_ns = from_ns
        self._from_steps = 0.0
        self._from_spent = site.job.spent_s[plan.job].copy()
        self._gpus = 0

    def steps(self) -> float:
        """Return the steps that count, as of the island's last stop."""
        return float(self._row.steps_count[self._plan.job]) - self._lost

    def useful_ns(self) -> float:
        """Return the time of the steps that count, as of the last stop.

        It is without checkpoint stalls, and at the mean step of all that were made.
        """
        made = float(self._row.steps_count[self._plan.job])
        ran_s = float(self._row.spent_s[self._plan.job, :-1].sum())
        return ran_s * self.steps() / made * 1e9 if made > 0.0 else 0.0

    def place(self, gpus: int) -> None:
        """Note how many GPUs the job computes on."""
        self._gpus = gpus

    def rate_against(self, step_ns: float) -> Callable[[], float]:
        """Return a function that gives the rate, 1 where a step takes *step_ns*."""
        index = self._plan.job
        return lambda: float(self._row.step_per_s[index]) * step_ns * 1e-9

    # Saves

    def save(self, now_ns: int, *, drained: bool = False) -> int:
        """Save the present step to remote storage; return when it is durable: once drained."""
        drain_ns = 0 if drained else ns(self._plan.checkpoints.remote.drain_s)
        self._saves.append((now_ns + drain_ns, self.steps()))
        self._saved_ns = self._ran_ns
        return now_ns + drain_ns

    def roll_back(self, now_ns: int, lost_copies: bool) -> float:
        """Fall back to the last durable step; return the steps lost.

        With *lost_copies* a node and its peer are both gone, and only the remote tier helps. A
        second call, when more was lost before the job runs again, loses only what is new.
        """
        done = self.steps()
        remote = self._remote(now_ns, done)
        durable, local = remote, self._plan.checkpoints.local
        if local is not None and not lost_copies:
            durable = max(remote, self._fluid(local, self._local_steps, done))
        durable = min(durable, done)
        self._lost += done - durable
        self._saves = [save for save in self._saves if save[0] > now_ns and save[1] <= durable]
        self._remote_steps = min(remote, durable)
        self._local_steps = durable
        self._saved_ns = self._ran_ns
        return done - durable

    def _remote(self, now_ns: int, done: float) -> float:
        """Return the last step that remote storage holds."""
        saved = max((step for safe_ns, step in self._saves if safe_ns <= now_ns), default=0.0)
        return max(saved, self._fluid(self._plan.checkpoints.remote, self._remote_steps, done))

    def _fluid(self, tier: Tier, base: float, done: float) -> float:
        """Return the last step that a tier with short stalls holds; it saves from *base* on."""
        if not tier.fluid or tier.interval_s == inf:
            return base
        step_s = self._plan.step_ns * 1e-9
        every = max(1.0, floor(tier.interval_s / step_s))
        drained = done - base - tier.drain_s / step_s
        return base + max(0.0, floor(drained / every) * every)

    # Time

    def stop(self, now_ns: int) -> None:
        """Note that the job makes no steps from now on."""
        if self._ran_from_ns is not None:
            self._ran_ns += now_ns - self._ran_from_ns
            self._ran_from_ns = None

    def until_save_ns(self) -> int:
        """Return how long the job has to run until its next long save."""
        return self._saved_ns + ns(self._plan.checkpoints.remote.interval_s) - self._ran_ns

    def until_evaluation_ns(self) -> int:
        """Return how long the job has to run until its next evaluation."""
        return self._evaluated_ns + ns(self._plan.evaluation_every_s or inf) - self._ran_ns

    def evaluated(self) -> None:
        """Note that an evaluation is over; one that a failure ends is made again."""
        self._evaluated_ns = self._ran_ns

    # Segments

    def enter(self, state: str, cause: int) -> None:
        """Begin a segment in *state* because of the event *cause*."""
        self._state, self._cause = state, cause
        if state == "running" and self._ran_from_ns is None:
            self._ran_from_ns = self._from_ns

    def close_segment(self, now_ns: int) -> None:
        """Write the segment that ends now, if it has a length."""
        index = self._plan.job
        if now_ns > self._from_ns:
            spent = self._row.spent_s[index] - self._from_spent
            factors = {column.name: value for column, value in zip(FACTORS, spent, strict=True)}
            self._write(
                "job",
                {
                    "job_id": index,
                    "t_start_ns": self._from_ns,
                    "t_ns": now_ns,
                    "job_state_id": JOB_STATE_ID_OF[self._state],
                    "cause_id": self._cause,
                    "gpus_allocated_count": 0 if self._state == "queued" else self._gpus,
                    "steps": float(self._row.steps_count[index]) - self._from_steps,
                    **factors,
                },
            )
        self._from_ns = now_ns
        self._from_steps = float(self._row.steps_count[index])
        self._from_spent = self._row.spent_s[index].copy()
