"""Comparisons: numbers add up, the first difference is found, and its cause is the recorded one."""

import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

from dcsim import cli
from dcsim.accounting import summarise
from dcsim.accounting.pairing import course, instants
from dcsim.errors import InputError
from dcsim.inputs import records
from dcsim.inputs.records import Record
from dcsim.report.stories.comparison import compare, open_runs
from dcsim.report.stories.comparison_shown import metrics, show, write_comparison
from dcsim.simulation import run as simulate
from dcsim.trace import Run
from tests.processes.stage import job, scenario, site
from tests.report.stories.lab import MIN_NS, Event, Segment, write_lab

FAULT = {"effect": "down", "hit": "lab/cdu/0", "origin": "faults.0"}
WEATHER = Record(0, "weather", "lab", '{"dry_bulb_c":20.0,"wet_bulb_c":10.0}')


def loss(late_min=0.0):
    """A CDU dies and takes a node and the job with it, so much later than at 21 min."""
    at = 21 + late_min
    return [
        Event(20, "fault", "cdu/0", detail=FAULT),
        Event(at, "shutdown", "gpu/5", 0, value=95),
        Event(at, "down", "node/1", 1, detail={"reason": "hot"}),
        Event(at, "job_interrupted", "", 2, job=0, value=1),
    ]


def segments(until_min=21.0, cause=3):
    running = Segment(0, until_min, "running", steps=100)
    return [running, Segment(until_min, 60, "detecting", cause)]


FAULT_ALONE = {"events": loss()[:1], "segments": segments(cause=0)}


def pair(folder, first=None, second=None):
    """Two runs from keyword arguments of `write_lab`, with common inputs if nothing is said."""
    runs = []
    for name, parts in (("a", first or {}), ("b", second or {})):
        content = parts.pop("inputs", [WEATHER])
        parts = {"events": loss(), "segments": segments(), "end_min": 60, **parts}
        runs.append(write_lab(folder / name, **parts))
        if content is not None:
            records.write(folder / name / "inputs.arrow", content, {})
    return runs


def screen(comparison, width=80):
    file = io.StringIO()
    show(comparison, Console(file=file, width=width))
    return file.getvalue()


def test_equal_runs_do_not_differ(tmp_path):
    same = compare(*pair(tmp_path))
    assert (same.asked, same.inputs, same.sides, same.why) == (
        [],
        "Inputs: common to both.",
        [],
        "",
    )
    assert same.events == "Events: all the same, 4 of them."
    assert same.segments == ["Segments of jobs: all the same, 2 of them."]
    assert all(measure.first == measure.second for measure in (*same.metrics, *same.waterfall))
    assert {row[3] for row in metrics(same.metrics).rows} <= {"same", ""}
    assert all(step.tokens == step.energy_j == 0 for step in same.course)


def test_the_first_event_that_differs_with_its_cause(tmp_path):
    other = {"events": loss(2), "segments": segments(23), "scenario": "cooling: {supply: 25 degC}"}
    first = {"scenario": "cooling: {supply: 30 degC}"}
    parted = compare(*pair(tmp_path, first, other))
    assert parted.events == "Events: 1 in common, then"
    assert [[step.text for step in side.steps] for side in parted.sides] == 2 * [
        [
            "lab/cdu/0 down (scripted fault, faults.0, not over by the end of the run)",
            "lab/gpu/5 shut down at 95 degC",
        ]
    ]
    assert [side.steps[-1].t_ns for side in parted.sides] == [21 * MIN_NS, 23 * MIN_NS]
    assert [side.thing for side in parted.sides] == 2 * ["lab/gpu/5"]
    assert parted.why == (
        "Both go back to the same first cause, in B 2 min later. "
        "Behind the difference is what was asked: cooling.supply"
    )
    assert [tuple(item) for item in parted.asked] == [("cooling.supply", "30 degC", "25 degC")]
    assert parted.segments[0] == "Segments of jobs: 0 in common, then"
    assert "00:00:00 to 00:23:00  job train running on 8 GPUs, 100 steps" in parted.segments[2]


def test_one_run_has_events_that_the_other_has_not(tmp_path):
    parted = compare(*pair(tmp_path, {}, {**FAULT_ALONE}))
    assert [bool(side.steps) for side in parted.sides] == [True, False]
    assert "B  no more events" in screen(parted)


def test_of_several_events_at_one_instant_the_cause_is_shown(tmp_path):
    """Names sort `down` before `shutdown`, which led to it."""
    parted = compare(*pair(tmp_path, {}, {**FAULT_ALONE}))
    assert parted.sides[0].steps[-1].text == "lab/gpu/5 shut down at 95 degC"


def failing(t_ns, target):
    u = '"u":[0.5,0.5,0.5,0.5,0.5,0.5]'
    payload = f'{{"action":"replace","cause":"hbm","mark_per_s":0.0,"repair_s":60.0,{u}}}'
    return Record(t_ns, "fail", target, payload)


def test_inputs_that_are_not_the_same(tmp_path):
    ours, theirs = failing(9 * MIN_NS, "lab/gpu/1"), failing(5 * MIN_NS, "lab/gpu/3")
    runs = pair(tmp_path, {"inputs": [WEATHER, ours]}, {"inputs": [WEATHER, theirs, ours]})
    parted = compare(*runs)
    assert parted.inputs.startswith(
        "Inputs: not the same. After 1 that are common, the first that only B has: "
        "00:05:00 fail lab/gpu/3 "
    )
    assert parted.course == []


def test_inputs_after_the_end_of_the_shorter_run_do_not_count(tmp_path):
    late = failing(70 * MIN_NS, "lab/gpu/1")
    runs = pair(tmp_path, {}, {"inputs": [WEATHER, late], "end_min": 90})
    parted = compare(*runs)
    assert parted.inputs == "Inputs: common to both."
    assert any("end at different times" in note for note in parted.notes)
    assert parted.course[-1].t_ns == 60 * MIN_NS


def test_an_input_that_differs_is_the_first_difference(tmp_path):
    fail = [Event(5, "fail", "gpu/3", detail={"cause": "hbm"}), *loss()]
    fail = [e if e.cause < 0 else e._replace(cause=e.cause + 1) for e in fail]
    other = {"inputs": [WEATHER, failing(5 * MIN_NS, "lab/gpu/3")], "events": fail}
    parted = compare(*pair(tmp_path, {}, other))
    assert parted.why == "The first difference is an input."


@pytest.mark.parametrize(
    ("digests", "said"),
    [
        (("x", "x"), "common to both"),
        (("x", "y"), "cannot be said without"),
        ((None, "y"), "cannot"),
    ],
)
def test_without_its_inputs_a_run_goes_by_their_digest(tmp_path, digests, said):
    one, two = ({} if digest is None else {"inputs_digest": digest} for digest in digests)
    parted = compare(*pair(tmp_path, {**one, "inputs": None}, two))
    assert said in parted.inputs


def test_differences_have_signs_units_and_a_direction(tmp_path):
    other = {"events": loss()[:1], "segments": [Segment(0, 60, "running", steps=300)]}
    parted = compare(*pair(tmp_path, {}, {**other, "power_w": 2e4}))
    rows = {row[0]: row[1:] for row in metrics(parted.metrics).rows}
    assert rows["goodput"] == ("35.0%", "100.0%", "+65 points", "+186%", "better")
    assert rows["tokens"] == ("100 M", "300 M", "+200 M", "+200%", "better")
    assert rows["interruptions"] == ("1", "0", "-1", "-100%", "better")
    assert rows["energy"] == ("36 MJ", "72 MJ", "+36 MJ", "+100%", "")
    assert rows["MTBF"][:3] == ("1 h", "no failure", "")
    assert rows["GPUs"][2] == "same"


def test_the_course_ends_at_the_difference_of_the_whole(tmp_path):
    other = {"events": loss()[:1], "segments": [Segment(0, 60, "running", steps=300)]}
    parted = compare(*pair(tmp_path, {}, {**other, "power_w": 2e4}))
    assert [step.t_ns for step in parted.course] == [n * 10 * MIN_NS for n in range(1, 7)]
    last = parted.course[-1]
    assert last.tokens == pytest.approx(200e6)
    assert last.energy_j == pytest.approx(36e6)
    assert {round(step.power_w) for step in parted.course} == {10_000}
    assert parted.course[1].tokens == pytest.approx((100 - 100 * 20 / 21) * 1e6)


@pytest.mark.parametrize(
    ("end_min", "count"), [(1, 1), (120, 12), (300, 30), (301, 6), (1800, 30), (54 * 1440, 54)]
)
def test_instants_are_round_and_not_too_many(end_min, count):
    t_ns = instants(end_min * MIN_NS)
    assert t_ns.size == count
    assert t_ns[-1] == end_min * MIN_NS
    assert (np.diff(t_ns) > 0).all()


def test_the_course_of_one_run_adds_up_to_its_summary(tmp_path):
    run = pair(tmp_path)[0]
    end = course(run, np.array([run.end_ns]))
    known = summarise(run).metrics
    assert end.tokens[0] == pytest.approx(known["tokens_count"].value)
    assert end.energy_j[0] == pytest.approx(known["energy_j"].value)


def test_a_run_without_a_job_is_compared_with_a_note(tmp_path):
    parted = compare(*pair(tmp_path, {}, {"events": [], "segments": [], "jobs": []}))
    assert "No job ran in B: what measures its work is not known." in parted.notes
    assert ("goodput", "35.0%") in [row[:2] for row in metrics(parted.metrics).rows]


def test_a_run_that_was_cut_short_says_so(tmp_path):
    parted = compare(*pair(tmp_path, {}, {"status": "interrupted"}))
    assert parted.notes[1].endswith("1 h, interrupted")


def test_runs_that_cannot_be_compared(tmp_path):
    run, _ = pair(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(run.folder)
    for folders, message in (
        ([run.folder], "compare takes two runs or more"),
        ([run.folder, link], f"{link}: the same folder as {run.folder}"),
    ):
        with pytest.raises(InputError, match=message):
            open_runs(folders)
    with pytest.raises(InputError) as error:
        open_runs([run.folder, tmp_path / "no", tmp_path / "none"])
    assert len(error.value.messages) == 2


@pytest.mark.parametrize("text", ["{", "&a [*a]", "a: &a {b: *a}", "2024-99-99: 1"])
def test_a_scenario_that_was_edited_into_nonsense(tmp_path, text):
    runs = pair(tmp_path, {}, {"scenario": text})
    with pytest.raises(InputError, match=r"b/run.json: its scenario is not valid YAML"):
        compare(*runs)


@pytest.mark.parametrize("width", [80, 200])
def test_lines_fit_the_screen_and_have_no_colour_in_a_pipe(tmp_path, width):
    text = screen(
        compare(*pair(tmp_path, {}, {"events": loss(2), "segments": segments(23)})), width
    )
    folder = str(tmp_path)
    assert max(len(line) for line in text.splitlines() if folder not in line) <= width
    assert "\x1b" not in text
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_a_page_is_offline_and_escaped(tmp_path):
    other = {"scenario": "name: <img src=x>"}
    parted = compare(*pair(tmp_path, {}, other))
    path = tmp_path / "page.html"
    write_comparison([parted, parted], path)
    page = path.read_text(encoding="utf-8")
    assert "<img" not in page
    assert "&lt;img src=x&gt;" in page
    assert page.count("<table>") == 2 * 3
    assert "http" not in page


@pytest.fixture(scope="session")
def plants(tmp_path_factory):
    """One CDU loss under two supply temperatures, with common inputs."""
    folder = tmp_path_factory.mktemp("plants")
    faults = [{"at": "30 min", "hit": "lab/cdu/0", "effect": "down", "for": "10 min"}]
    warm = simulate(scenario([job(8)], 2, faults=faults), out=folder / "warm").folder
    cooling = {"unit": "xdu1350", "racks_per_unit": 2, "supply": "20 degC"}
    asked = scenario([job(8)], 2, faults=faults, sites={"lab": site(cooling=cooling)})
    inputs = warm / "inputs.arrow"
    return warm, simulate(asked, out=folder / "cool", inputs=inputs).folder


def test_two_cooling_plants_under_common_inputs(plants):
    parted = compare(*map(Run, plants))
    assert parted.inputs == "Inputs: common to both."
    assert [item.key for item in parted.asked] == ["sites.lab.cooling.supply"]
    assert "in B " in parted.why
    assert parted.why.endswith("what was asked: sites.lab.cooling.supply")
    one, two = (side.steps for side in parted.sides)
    assert one[0][:3] == two[0][:3]
    assert "lab/cdu/0 down" in one[0].text
    assert two[-1].t_ns > one[-1].t_ns
    temp = next(m for m in parted.metrics if m.name == "gpu_temp_c_p50")
    assert temp.second < temp.first
    known = [summarise(Run(folder)).metrics["tokens_count"].value for folder in plants]
    assert parted.course[-1].tokens == pytest.approx(known[1] - known[0])


def test_the_command(plants, capsys, tmp_path, monkeypatch):
    def compared(*arguments):
        with pytest.raises(SystemExit) as stop:
            cli.main(["compare", *map(str, arguments)])
        return stop.value.code, *capsys.readouterr()

    code, out, err = compared(*plants, "--json")
    assert (code, err) == (0, "")
    (parted,) = json.loads(out)
    assert sum(place["first"] for place in parted["waterfall"]) == pytest.approx(1)
    third = shutil.copytree(plants[0], tmp_path / "third")
    monkeypatch.chdir(tmp_path)
    code, out, err = compared(*plants, third, "--html")
    assert (code, err) == (0, "")
    assert out.count("Inputs: common to both.") == 2
    assert "Their traces are the same, byte for byte." in out
    assert (tmp_path / "compare-warm-cool-third.html").exists()
    assert compared(plants[0], plants[0]) == (
        2,
        "",
        f"error: {plants[0]}: the same folder as {plants[0]}\n",
    )


def test_it_imports_neither_bokeh_nor_numba(plants):
    code = (
        "import sys\nfrom dcsim.cli import main\ntry: main(sys.argv[1:])\n"
        "finally: print(sorted({'bokeh', 'numba', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    command = ["compare", *map(str, plants)]
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("[]\n")
