"""Which numbers of the catalogue a run uses, each with its source."""

from typing import Any

from dcsim import catalog
from dcsim.catalog import Sheet
from dcsim.scenario import Scenario
from dcsim.world.building import World


def sources_of(scenario: Scenario, world: World) -> list[dict[str, Any]]:
    """Return every number of every sheet that the scenario names, once, in the order of sheets."""
    sheets: dict[tuple[str, str], Sheet] = {}

    def use(sheet: Sheet) -> None:
        sheets.setdefault((sheet.kind, sheet.name), sheet)

    for site in world.sites.values():
        for sheet in site.sheets.values():
            use(sheet)
        if site.ask.weather.climate is not None:
            use(catalog.sheet("climate", site.ask.weather.climate))
    for job in scenario.jobs:
        if isinstance(job.model, str):
            use(catalog.sheet("model", job.model))
        use(catalog.sheet("recovery", job.recovery.preset))
        use(catalog.sheet("step", "law"))
        use(catalog.sheet("software", "megatron-core"))
    if scenario.failures is not None:
        use(catalog.sheet("failures", scenario.failures.preset))
    return [number for sheet in sheets.values() for number in sheet.sources()]
