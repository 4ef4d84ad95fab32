"""The names of things, as scenario, trace and story have them: `dallas/cdu/3`."""

from dcsim.accounting.causes import Events, read_events
from dcsim.accounting.segments import Jobs, read_jobs
from dcsim.trace import Run


class Names:
    """Names of the things, jobs and sites of a run."""

    def __init__(self, run: Run) -> None:
        self._events: Events = read_events(run)
        self._jobs: Jobs = read_jobs(run)
        sites = run.columns("dim_site")
        self._sites = dict(zip(sites["site_id"].tolist(), sites["name"], strict=True))

    def of(self, row: int) -> str:
        """What the event in this row of `Events` happened to.

        A fault that hit several things has its selector, its end the same; a job has its name; ""
        is for an event that names nothing.
        """
        events = self._events
        if events.kind[row] == "fault_ended":
            row = int(events.parent[row])
        if events.row[row] < 0 and "hit" in (detail := events.says(row)):
            return str(detail["hit"])
        if events.thing[row] in ("", "job") and events.job_id[row] >= 0:
            return self.job(int(events.job_id[row]))
        return self.thing(int(events.site_id[row]), str(events.thing[row]), int(events.row[row]))

    def thing(self, site_id: int, kind: str, row: int) -> str:
        """The thing of a kind in a row of its site, or the site where *row* is below 0."""
        site = self.site(site_id)
        return site if row < 0 or not kind else f"{site}/{kind}/{row}"

    def job(self, job_id: int) -> str:
        """The job of this id."""
        named = self._jobs.name[self._jobs.job_id == job_id]
        return str(named[0]) if named.size else f"job {job_id}"

    def site(self, site_id: int) -> str:
        """The site of this id."""
        return str(self._sites.get(site_id, ""))
