"""Which numbers of the catalogue a run uses, each with its source."""

from typing import Any

from dcsim import catalog
from dcsim.catalog import Sheet
from dcsim.scenario import Scenario
from dcsim.world.building import sheets_of


def sources_of(scenario: Scenario) -> list[dict[str, Any]]:
    """Return every number of every sheet that the scenario uses, once, in the order of sheets.

    Values are those at the level that the scenario takes them at.
    """
    sheets: dict[tuple[str, str, str], Sheet] = {}

    def use(sheet: Sheet, level: str = "") -> None:
        sheets.setdefault((sheet.kind, sheet.name, level), sheet)

    for site in scenario.sites.values():
        for sheet in sheets_of(site, scenario.levels).values():
            use(sheet)
        if site.weather.climate is not None:
            use(catalog.sheet("climate", site.weather.climate))
    for job in scenario.jobs:
        if isinstance(job.model, str):
            use(catalog.sheet("model", job.model))
        use(job.recovery.numbers, job.recovery.level)
        use(catalog.sheet("step", "law"))
        use(catalog.sheet("software", "megatron-core"))
        if scenario.levels.step_time != "typical":
            use(catalog.sheet("step", "interval"))
            use(catalog.sheet("software", "untuned"))
    if scenario.failures is not None:
        use(catalog.sheet("failures", scenario.failures.preset))
    return [number for sheet in sheets.values() for number in sheet.sources()]
