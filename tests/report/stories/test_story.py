"""Stories: every line stands on a recorded event, causes come first, and much is told as one."""

import io
import json
import subprocess
import sys

import pytest
from rich.console import Console

from dcsim import cli
from dcsim.errors import InputError
from dcsim.report.stories.phrases import instant
from dcsim.report.stories.story import show, story_of, write_story
from dcsim.simulation import run as simulate
from dcsim.trace import Run
from tests.processes.stage import job, scenario
from tests.report.stories.lab import MIN_NS, Event, Segment, Warmth, write_lab

HOT = {"reason": "hot"}
DOWN = {"effect": "down", "hit": "lab/cdu/0", "origin": "faults.0"}
CDU_LOSS = (
    Event(0, "job_started", job=0, value=8),
    Event(20, "fault", "cdu/0", detail=DOWN),
    Event(21, "shutdown", "gpu/5", 1, value=95),
    Event(21, "down", "node/1", 2, detail=HOT),
    Event(21, "job_interrupted", "", 3, job=0, value=1),
    Event(21, "job_rollback", "", 4, job=0, value=10),
    Event(22, "shutdown", "gpu/1", 1, value=95),
    Event(22, "down", "node/0", 6, detail=HOT),
    Event(23, "shutdown", "gpu/9", 1, value=95),
    Event(23, "down", "node/2", 8, detail=HOT),
    Event(30, "job_resumed", "", 4, job=0),
    Event(65, "fault_ended", "cdu", 1),
    Event(81, "up", "node/1"),
    Event(82, "up", "node/0"),
)
SEGMENTS = (
    Segment(0, 2, "starting", 0),
    Segment(2, 21, "running", 0, steps=100),
    Segment(21, 21.5, "detecting", 4),
    Segment(21.5, 22, "detecting", 4),
    Segment(22, 29, "waiting_for_nodes", 4),
    Segment(29, 30, "warming", 4),
    Segment(30, 240, "running", 4, steps=1000),
)


@pytest.fixture
def lab(tmp_path):
    return write_lab(tmp_path / "lab", CDU_LOSS, SEGMENTS, where={"faults.0": "lab.yaml:39"})


def texts(story, chapter=0):
    """The lines of one chapter: time, arrows for the depth, and text."""
    steps = story.chapters[chapter].steps
    return [f"{instant(step.t_ns)} {'>' * step.depth}{step.text}" for step in steps]


def screen(story, width=80):
    file = io.StringIO()
    show(story, Console(file=file, width=width))
    return file.getvalue()


def test_a_fault_of_the_plant_from_its_input_to_the_cost(lab):
    assert texts(story_of(lab, "lab/cdu/0")) == [
        "00:20:00 lab/cdu/0 down (scripted fault, lab.yaml:39, for 45 min)",
        "00:21:00 >3 GPUs shut down at 95 degC by 00:23:00, first lab/gpu/5",
        "00:21:00 >>3 nodes down (too hot) by 00:23:00, first lab/node/1; "
        "up again from 01:21:00 to 01:22:00, 1 still down at 04:00:00",
        "00:21:00 >>>job train interrupted",
        "00:21:00 >>>>lost 10 steps, to be done again",
        "00:21:00 >>>>detecting 1 min, waiting for nodes 7 min, warming 1 min",
        "00:30:00 >>>>makes steps again",
        "00:30:00 >>>>stood for 9 min; with the work done again it cost "
        "1.45 GPU-hours, 2.3% of all there were",
        "01:05:00 >lab/cdu/0 free of the fault",
    ]


def test_of_one_gpu_its_own_chain_is_told_and_the_others_are_counted(lab):
    assert texts(story_of(lab, "lab/gpu/1")) == [
        "00:20:00 lab/cdu/0 down (scripted fault, lab.yaml:39, for 45 min)",
        "00:21:00 >2 other GPUs shut down at 95 degC by 00:23:00",
        "00:22:00 >lab/gpu/1 shut down at 95 degC",
        "00:22:00 >>lab/node/0 down (too hot); up again at 01:22:00, after 1 h",
        "01:05:00 >lab/cdu/0 free of the fault",
    ]


def test_every_line_stands_on_events_that_are_there(lab):
    for thing in ("lab/cdu/0", "lab/node/1", "lab/rack/0", "train"):
        for chapter in story_of(lab, thing).chapters:
            told = [number for step in chapter.steps for number in step.event_ids]
            assert len(told) == len(set(told))
            for step in chapter.steps:
                assert [CDU_LOSS[number].at_min * MIN_NS for number in step.event_ids][:1] in (
                    [],
                    [step.t_ns],
                )


@pytest.mark.parametrize("name", ["lab/node/1", "lab/gpu/7", "lab/rack/0"])
def test_a_gpu_shares_the_story_of_its_node_and_a_rack_that_of_its_nodes(lab, name):
    assert "job train interrupted" in screen(story_of(lab, name))


def test_nothing_happened(tmp_path):
    warmth = [
        Warmth(15, 1, 50, 55),
        Warmth(30, 1, 51, 58),
        Warmth(45, 1, 52, 57),
        Warmth(45, 0, 9, 99),
    ]
    run = write_lab(tmp_path / "lab", CDU_LOSS, SEGMENTS, warmth=warmth)
    story = story_of(run, "lab/gpu/15")
    assert story.chapters == []
    assert screen(story).splitlines() == [
        "lab/gpu/15 at 04:00:00: nothing happened to it or to its node.",
        "It is in lab/rack/1, cooled by lab/cdu/0, powered by lab/pdu/1 on lab/ups/0.",
        "lab/rack/1 at 00:45:00: its GPUs at 52 degC in the mean, 5 kW; its hottest",
        "sample was 58 degC at 00:30:00.",
    ]
    assert "rack/1 at 00:15:00: its GPUs at 50" in screen(story_of(run, "lab/gpu/15", 20 * MIN_NS))


def test_a_thing_that_the_trace_does_not_list(lab):
    assert "does not say how many coolers there are" in screen(story_of(lab, "lab/cooler/7"))
    assert "does not say how many leaves there are" in screen(story_of(lab, "lab/leaf/0"))


@pytest.mark.parametrize(
    ("name", "at_min", "state"),
    [
        ("lab/node/1", 30, "at 00:30:00: down (too hot), for 9 min"),
        ("lab/gpu/5", 30, "at 00:30:00: its node lab/node/1 down (too hot), for 9 min"),
        ("lab/node/1", 19, "at 00:19:00: nothing happened to it"),
        ("lab/node/1", 90, "works at 01:30:00, for 9 min"),
        ("lab/cdu/0", 30, "down (scripted fault, lab.yaml:39, for 45 min), for 10 min"),
        ("lab/cdu/0", 66, "works at 01:06:00, for 1 min"),
        ("train", 25, "is waiting for nodes at 00:25:00, since 00:22:00, for 3 min"),
        ("train", 21.75, "is detecting at 00:21:45, since 00:21:00, for 45 s"),
        ("train", 60, "is running at 01:00:00, since 00:30:00, for 30 min"),
    ],
)
def test_the_state_at_an_instant(lab, name, at_min, state):
    assert state in story_of(lab, name, round(at_min * MIN_NS)).headline


def test_a_story_at_an_instant_does_not_know_what_came_later(lab):
    assert texts(story_of(lab, "train", round(25 * MIN_NS))) == [
        "00:20:00 lab/cdu/0 down (scripted fault, lab.yaml:39, for 45 min)",
        "00:21:00 >lab/gpu/5 shut down at 95 degC",
        "00:21:00 >>lab/node/1 down (too hot); still down at 00:25:00",
        "00:21:00 >>>job train interrupted",
        "00:21:00 >>>>lost 10 steps, to be done again",
        "00:21:00 >>>>detecting 1 min, waiting for nodes 3 min",
        "00:22:00 >2 other GPUs shut down at 95 degC by 00:23:00",
    ]


def test_throttling_is_told_with_its_end(tmp_path):
    events = [
        Event(1, "fault", "cdu/0", detail=DOWN),
        Event(2, "throttled", "cdu/0", 0, value=1),
        Event(4, "throttle_ended", "cdu/0", 0, value=12),
        Event(9, "throttled", "cdu/0", 0, value=3),
    ]
    run = write_lab(tmp_path / "lab", events)
    warm = "00:02:00 >lab/cdu/0 too warm: GPUs under it lower their clocks"
    assert texts(story_of(run, "lab/cdu/0", 3 * MIN_NS))[1:] == [warm]
    assert texts(story_of(run, "lab/cdu/0", 5 * MIN_NS))[1:] == [
        f"{warm}, 12 GPUs at most, until 00:04:00"
    ]
    assert "down (scripted fault" in story_of(run, "lab/cdu/0").headline


def test_what_is_not_over_makes_the_state(tmp_path):
    """The worst of what is not over counts, and the end of one does not end another."""
    events = [
        Event(10, "fault", "cdu/0", detail=DOWN),
        Event(20, "fault", "cdu/0", value=0.5, detail=DOWN),
        Event(25, "throttled", "cdu/0", 1, value=1),
        Event(30, "throttle_ended", "cdu/0", 1, value=2),
        Event(40, "fault_ended", "cdu", 1),
        Event(50, "fault_ended", "cdu", 0),
        Event(60, "throttled", "cdu/0", value=1),
    ]
    run = write_lab(tmp_path / "lab", events)
    states = {
        at: story_of(run, "lab/cdu/0", at * MIN_NS).headline.split(": ", 1)[-1]
        for at in (15, 26, 45, 55, 65)
    }
    assert states[15] == "down (scripted fault, faults.0, for 40 min), for 5 min."
    assert states[26] == "down (scripted fault, faults.0, for 40 min), for 16 min."
    assert states[45] == "down (scripted fault, faults.0, for 40 min), for 35 min."
    assert states[55] == "lab/cdu/0 works at 00:55:00, for 5 min."
    assert states[65] == "too warm: GPUs under it lower their clocks, for 5 min."


def test_the_node_that_took_a_seat_is_in_both_stories(tmp_path):
    events = [
        Event(5, "fail", "gpu/1", detail={"cause": "hbm"}),
        Event(5, "down", "node/0", 0, detail={"reason": "repair"}),
        Event(5, "job_interrupted", "", 1, job=0, value=1),
        Event(7, "node_replaced", "node/3", 2, job=0, detail={"left": "lab/node/0"}),
    ]
    run = write_lab(tmp_path / "lab", events, [Segment(5, 9, "detecting", 2)])
    for name in ("lab/node/0", "lab/node/3", "train"):
        assert "00:07:00 >>>lab/node/3 took the seat of lab/node/0" in texts(story_of(run, name))


def test_without_a_recorded_cause_it_says_so(tmp_path):
    events = [Event(5, "shutdown", "gpu/3", value=95), Event(5, "down", "node/0", 0, detail=HOT)]
    run = write_lab(tmp_path / "lab", events)
    assert texts(story_of(run, "lab/node/0")) == [
        "00:05:00 lab/gpu/3 shut down at 95 degC; no cause recorded",
        "00:05:00 >lab/node/0 down (too hot); still down at 04:00:00",
    ]


@pytest.mark.parametrize(
    ("hit", "names"),
    [
        ("lab/rack/0-1", ["lab/rack/0", "lab/rack/1"]),
        ("*/node/*", ["lab/node/0", "lab/node/3"]),
        ("lab/rack/1/node/0", ["lab/node/2"]),
        ("lab/ups/0/rack/*/node/1", ["lab/node/1"]),
        ("lab/cooler/2-4", ["lab/cooler/3"]),
    ],
)
def test_a_fault_is_told_of_each_thing_that_its_selector_matches(tmp_path, hit, names):
    kind = hit.split("/")[-2]
    detail = {"effect": "degrade", "hit": hit, "origin": "faults.0"}
    run = write_lab(tmp_path / "lab", [Event(9, "fault", kind, value=0.5, detail=detail)])
    for name in names:
        said = f"{hit} degraded to 50% (scripted fault, faults.0, not over by the end of the run)"
        assert texts(story_of(run, name)) == [f"00:09:00 {said}"]
    for other in ("lab/node/3" if "lab/node/3" not in names else "lab/rack/0", "lab/cooler/9"):
        if other.split("/")[1] != kind or other not in names:
            assert story_of(run, other).chapters == []


def weeks(folder, count):
    """A job that failures of two classes interrupt, each a minute longer than the one before."""
    events, segments, at_min = [Event(0, "job_started", job=0, value=8)], [], 0.0
    for number in range(count):
        cause = "hbm" if number % 3 else "cable"
        first = len(events)
        begin_min = at_min + 30
        events.append(Event(begin_min, "fail", "gpu/4", detail={"cause": cause}))
        events.append(Event(begin_min, "job_interrupted", "", first, job=0, value=1))
        segments.append(Segment(at_min, begin_min, "running", first - 1, steps=30))
        at_min = begin_min + number + 1
        segments.append(Segment(begin_min, at_min, "detecting", first + 1))
        events.append(Event(at_min, "job_resumed", "", first + 1, job=0))
    return write_lab(folder, events, segments, end_min=at_min)


def test_many_interruptions_are_summed_by_class_and_the_costliest_are_told(tmp_path):
    story = story_of(weeks(tmp_path / "weeks", 9), "train")
    assert [row[:4] for row in story.by_cause.rows] == [
        ("hbm", "gpu", "6", "5 min 30 s"),
        ("cable", "gpu", "3", "4 min"),
    ]
    titles = [chapter.title for chapter in story.chapters]
    assert titles == [
        "Costliest and last: interruption 9",
        *(f"Costliest: interruption {number}" for number in (8, 7)),
    ]
    assert "9 interruptions cost 6 GPU-hours" in screen(story)


def test_rollbacks_of_one_interruption_are_added_up(tmp_path):
    events = [
        Event(5, "maintenance", "node", value=2),
        Event(5, "down", "node/0", 0, detail={"reason": "maintenance"}),
        Event(5, "job_interrupted", "", 1, job=0),
        Event(5, "job_rollback", "", 2, job=0, value=30),
        Event(6, "job_rollback", "", 2, job=0, value=4),
    ]
    segments = [Segment(0, 5, "running", steps=40), Segment(5, 9, "maintenance", 2)]
    story = story_of(write_lab(tmp_path / "lab", events, segments), "train")
    assert texts(story)[:4] == [
        "00:05:00 lab planned work on 2 nodes",
        "00:05:00 >lab/node/0 down (planned work); still down at 04:00:00",
        "00:05:00 >>job train stopped for planned work",
        "00:05:00 >>>lost 34 steps, to be done again, 2 times by 00:06:00",
    ]


def test_a_few_interruptions_are_all_told(tmp_path):
    story = story_of(weeks(tmp_path / "weeks", 3), "train")
    assert [chapter.title for chapter in story.chapters] == [
        f"Interruption {number} of 3" for number in (1, 2, 3)
    ]


def test_much_that_happened_to_a_thing_is_counted_by_cause(tmp_path):
    story = story_of(weeks(tmp_path / "weeks", 9), "lab/gpu/4")
    assert story.by_cause.rows == [("hbm", "gpu", "6"), ("cable", "gpu", "3")]
    assert len(story.chapters) == 5


@pytest.mark.parametrize("width", [80, 200])
def test_lines_fit_the_screen_and_have_no_colour_in_a_pipe(lab, width):
    for thing in ("lab/cdu/0", "train", "lab/node/1"):
        text = screen(story_of(lab, thing), width)
        assert max(map(len, text.splitlines())) <= width
        assert "\x1b" not in text
        assert not any(line.endswith(" ") for line in text.splitlines())


def test_a_page_is_offline_small_and_escaped(tmp_path):
    run = write_lab(tmp_path / "x", CDU_LOSS, SEGMENTS, jobs=["<script>\x1b[31m&"], site="lab")
    path = tmp_path / "page.html"
    write_story(story_of(run, "lab/cdu/0"), path)
    page = path.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "\x1b" not in page
    assert "job &lt;script&gt;\N{REPLACEMENT CHARACTER}[31m&amp; interrupted" in page
    assert "http" not in page
    assert len(page) < 20_000
    assert "\x1b" not in screen(story_of(run, "lab/cdu/0"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lb/cdu/3", "no job and no thing 'lb/cdu/3', did you mean 'lab'? jobs are train; things"),
        ("trian", "no job and no thing 'trian', did you mean 'train'? jobs are train; things are"),
        ("lab", "lab: is a site; kinds are gpu, node, rack, cdu, pump, cooler, chiller, pdu, ups,"),
        ("lab/cpu/0", "lab/cpu/0: no kind of thing 'cpu', did you mean 'pdu'? kinds are gpu, node"),
        ("lab/crah/0", "lab/crah/0: lab has no crah"),
        ("lab/gpu/16", "lab/gpu/16: no such gpu, lab has gpu/0-15"),
        ("lab/gpu/-1", "lab/gpu/-1: no such gpu, lab has gpu/0-15"),
        ("lab/gpu/٣", "lab/gpu/٣: no such gpu, lab has gpu/0-15"),
        ("lab/node/0/gpu/0", "lab/node/0/gpu/0: no such node, lab has node/0-3"),
        ("lab/leaf/x", "lab/leaf/x: no such leaf, allowed lab/leaf/0"),
        ("", "no job and no thing '', jobs are train; things are named lab/gpu/15, lab/node/3,"),
    ],
)
def test_a_thing_that_does_not_exist(lab, name, message):
    with pytest.raises(InputError) as error:
        story_of(lab, name)
    assert str(error.value).startswith(message)


def test_an_instant_after_the_end(lab):
    with pytest.raises(InputError, match="--at 05:00:00: the run ended at 04:00:00"):
        story_of(lab, "train", 300 * MIN_NS)


def test_a_job_that_never_ran(tmp_path):
    story = story_of(write_lab(tmp_path / "lab"), "train")
    assert story.headline == "Job train has no nodes yet at 04:00:00."
    assert "Nothing interrupted it." in story.facts


def test_a_gpu_that_failed_and_went_on(tmp_path):
    run = write_lab(tmp_path / "lab", [Event(5, "fail", "gpu/3", detail={"cause": "software"})])
    story = story_of(run, "lab/gpu/3")
    assert story.headline == "lab/gpu/3 at 04:00:00: no change of its own state is recorded."
    assert texts(story) == ["00:05:00 lab/gpu/3 failed (software)"]


def test_a_list_of_nodes_that_was_cut_short(lab):
    (lab.folder / "traces" / "dim_node.arrow").write_bytes(b"")
    run = Run(lab.folder)
    run.record["status"] = "running"
    with pytest.raises(InputError, match=r"dim_node.arrow: 0 nodes of lab, 4 in dim_site"):
        story_of(run, "lab/gpu/3")


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """Eight nodes on one cooling unit that dies for ten minutes."""
    faults = [{"at": "30 min", "hit": "lab/cdu/0", "effect": "down", "for": "10 min"}]
    asked = scenario([job(8)], 2, faults=faults)
    return simulate(asked, out=tmp_path_factory.mktemp("runs") / "cdu-loss").folder


def test_a_real_run_is_told_from_the_fault_to_the_job(real):
    steps = story_of(Run(real), "lab/cdu/0").chapters[0].steps
    told = "\n".join(step.text for step in steps)
    assert steps[0].text.startswith("lab/cdu/0 down (scripted fault, ")
    for words in ("8 nodes down (too hot)", "interrupted", "waiting for nodes", "GPU-hours"):
        assert words in told
    assert {0, 1, 2, 3, 4} <= {step.depth for step in steps}


def test_a_job_says_where_the_peak_of_its_gpus_went(real):
    said = screen(story_of(Run(real), "job-0"))
    assert "Of the peak of the GPUs that it held " in said
    assert "waiting for nodes" in said
    assert "the GPUs that it held" not in screen(story_of(Run(real), "job-0", 31 * MIN_NS))


def test_the_commands(real, capsys):
    def why(*arguments):
        with pytest.raises(SystemExit) as stop:
            cli.main(["why", str(real), *arguments])
        return stop.value.code, *capsys.readouterr()

    code, out, err = why("lab/cdu/0", "--at", "31 min", "--json")
    assert (code, err) == (0, "")
    story = json.loads(out)
    assert story["thing"] == "lab/cdu/0"
    assert story["at_ns"] == 31 * MIN_NS
    assert story["chapters"][0]["steps"][0]["t_ns"] == 30 * MIN_NS
    code, out, err = why("lab/cdu/0", "--html")
    page = real / "why-lab-cdu-0.html"
    assert (code, err) == (0, "")
    assert out.startswith(f"Page: {page}\n")
    assert "<li" in page.read_text(encoding="utf-8")
    page.unlink()
    code, out, err = why("lab/cdu/9")
    assert (code, out) == (2, "")
    assert err == "error: lab/cdu/9: no such cdu, lab has cdu/0\n"


def test_it_imports_neither_bokeh_nor_numba(real):
    code = (
        "import sys\nfrom dcsim.cli import main\ntry: main(sys.argv[1:])\n"
        "finally: print(sorted({'bokeh', 'numba', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    for command in (["why", str(real), "lab/gpu/1"],):
        done = subprocess.run(
            [sys.executable, "-c", code, *command], capture_output=True, text=True, check=True
        )
        assert done.stdout.endswith("[]\n")
