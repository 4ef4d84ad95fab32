"""All inputs of a run, drawn."""

from collections.abc import Mapping

from dcsim import catalog
from dcsim.inputs.arrivals import job_arrivals, planned_maintenance
from dcsim.inputs.failures import Things, draw_failures
from dcsim.inputs.faults import scripted_faults
from dcsim.inputs.records import Record
from dcsim.inputs.weather import draw_weather
from dcsim.scenario import Scenario


def draw_inputs(scenario: Scenario, things: Mapping[str, Things]) -> list[Record]:
    """Return every cause from outside in a run of *scenario*, ordered.

    *things* are those of each site, by its name. Raises InputError for a weather file that
    cannot be used.
    """
    records = [*job_arrivals(scenario), *planned_maintenance(scenario), *scripted_faults(scenario)]
    for name, site in scenario.sites.items():
        records += draw_weather(name, site.weather, scenario.start, scenario.duration_s)
    if scenario.failures is not None:
        classes = catalog.failure_preset(scenario.failures.preset).classes
        scale = scenario.failures.scale
        for of_site in things.values():
            records += draw_failures(scenario.seed, classes, scale, of_site, scenario.duration_s)
    return sorted(records)
