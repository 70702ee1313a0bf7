"""Runs in parts, as arrays of jobs do them, against the same run at once."""

from __future__ import annotations

from dataclasses import replace

import fsspec
import pytest

from xlprobe import save
from xlprobe.cli import app, run
from xlprobe.errors import ResultsError
from xlprobe.measuring.design import Design, check
from xlprobe.measuring.inputs import metrics_of
from xlprobe.measuring.job_array import part_of
from xlprobe.measuring.manifest import fingerprint_of, manifest_of
from xlprobe.measuring.measurement import measure
from xlprobe.results import Results

pytestmark = pytest.mark.usefixtures("small_shards")


@pytest.fixture
def saved(tiny, tmp_path):
    save(tiny.checkpoint("bert", "ForSequenceClassification"), tmp_path / "tiny")
    return tmp_path / "tiny"


def measuring(saved, out, *more):
    given = ["measure", "-c", str(saved), "--languages", "en fr", "--limit", "6", "--batch-size", "8"]
    return run(app, [*given, "--metrics", "js_stability,instability,correct", "--out", str(out), *more])


def rows(directory):
    return Results.load(directory).to_frame()


def test_parts_merged_are_the_table_of_a_run_at_once(saved, tmp_path, capsys):
    assert measuring(saved, tmp_path / "one") == 0
    parts = tmp_path / "parts"
    for number in (3, 1):
        assert measuring(saved, parts, "--shard", f"{number}/3") == 0
    assert "as are 2 of 3" in capsys.readouterr().out
    assert run(app, ["merge", str(parts)]) == 1
    assert "1 of 3 parts" in (told := capsys.readouterr().err)
    assert "--shard 2/3" in told
    assert not (parts / "results.parquet").exists()
    assert measuring(saved, parts, "--shard", "2/3") == 0
    assert run(app, ["merge", str(parts)]) == 0
    assert rows(parts).equals(rows(tmp_path / "one"))
    left = [sorted(path.name for path in directory.iterdir()) for directory in (parts, tmp_path / "one")]
    assert left[0] == left[1] == ["manifest.json", "patterns.npz", "results.parquet"]
    arguments = [Results.load(one).manifest["arguments"] for one in (parts, tmp_path / "one")]
    assert arguments[0] | {"out": ""} == arguments[1] | {"out": ""}


def test_parts_are_merged_in_a_store(saved, tmp_path, memory, monkeypatch, capsys):
    assert measuring(saved, tmp_path / "one") == 0
    parts = "memory://bucket/parts"
    assert measuring(saved, parts, "--shard", "2/2") == 0
    assert "as are 1 of 2; put them together with: xlprobe merge memory://bucket/parts" in capsys.readouterr().out
    assert run(app, ["merge", parts]) == 1
    assert "stood in for memory://bucket/parts" in capsys.readouterr().err
    gets, get = [], memory.get
    monkeypatch.setattr(type(memory), "get", lambda self, *paths: gets.extend(paths[0]) or get(*paths))
    assert measuring(saved, parts, "--shard", "1/2") == 0
    assert {name.rsplit("/")[-1] for name in gets} == {".parts.json", ".part-2-of-2"}
    assert run(app, ["merge", parts]) == 0
    assert "rows in memory://bucket/parts/results.parquet" in capsys.readouterr().out
    assert rows(parts).equals(rows(tmp_path / "one"))
    left = [name.removeprefix("/bucket/parts/") for name in memory.find("/bucket/parts")]
    assert left == ["manifest.json", "patterns.npz", "results.parquet"]
    assert Results.load(parts).manifest["arguments"]["out"] == parts


@pytest.mark.parametrize("out", ["{tmp_path}/parts", "memory://parts"])
def test_an_evaluation_in_parts_is_the_one_at_once(saved, tmp_path, memory, out):
    out = out.format(tmp_path=tmp_path)
    given = ["evaluate", "-c", str(saved), "--languages", "en fr", "--limit", "6", "--batch-size", "4", "--out"]
    assert run(app, [*given, str(tmp_path / "one")]) == 0
    for number in (1, 2):
        assert run(app, [*given, out, "--shard", f"{number}/2"]) == 0
    assert run(app, ["merge", out]) == 0
    assert rows(out).equals(rows(tmp_path / "one"))
    with fsspec.open(f"{out}/accuracy.csv") as file:
        assert file.read() == (tmp_path / "one" / "accuracy.csv").read_bytes()


def test_processes_of_a_launcher_do_not_share_a_store(saved, memory, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert measuring(saved, "memory://run") == 1
    assert "2 processes run a run that writes to memory://run" in capsys.readouterr().err


def test_a_part_of_another_command_is_refused(saved, tmp_path, capsys):
    assert measuring(saved, tmp_path / "parts", "--shard", "1/2") == 0
    assert measuring(saved, tmp_path / "parts", "--shard", "2/2", "--seed", "4") == 1
    assert "other values of seed" in capsys.readouterr().err
    assert run(app, ["merge", str(tmp_path)]) == 1
    assert "holds no parts of a run" in capsys.readouterr().err


def test_what_a_part_did_with_other_data_is_not_merged(tiny, tmp_path):
    checkpoint, options = tiny.checkpoint("bert"), {"metrics": "js_stability", "out": tmp_path, "show_progress": False}
    measure(checkpoint, tiny.problems(3, 2, ("en", "fr")), shard="1/1", **options)
    with pytest.raises(ResultsError, match="1 of 1 pieces of attention-.* with other checkpoints, data"):
        measure(checkpoint, tiny.problems(2, 2, ("en", "fr")), shard="merge", **options)
    assert len(measure(checkpoint, tiny.problems(3, 2, ("en", "fr")), shard="merge", **options)) > 0


def test_nor_what_it_did_with_other_prefixes(tiny, tmp_path):
    one = tiny.checkpoint("bert")
    options = {"metrics": "js_stability", "out": tmp_path, "show_progress": False}
    problems = tiny.problems(3, 2, ("en", "fr"))
    measure(one, problems, shard="1/1", **options)
    with pytest.raises(ResultsError, match="with other checkpoints, data, options"):
        measure(replace(one, encoding={"layout": "method"}), problems, shard="merge", **options)


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "a/4", "-1/4", "1/0", "", "1/4/8"])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(ResultsError, match="expected NUMBER/COUNT"):
        part_of(text)


def test_a_launcher_and_parts_are_not_mixed(monkeypatch):
    assert part_of("3/64") == (2, 64)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ResultsError, match="use one or the other"):
        part_of("3/64")


def test_runs_with_other_options_do_not_take_each_others_pieces(tiny):
    """What the command line says of itself does not tell runs apart; what is measured does."""
    told = {"metrics": "all", "batch_size": 1, "pairs": None, "out": "x"}

    def print_of(metrics, about, **options):
        checked = check(Design(about=about, **options), metrics_of(metrics), tiny.problems(3, 2, ("en", "fr")))
        return fingerprint_of(checked, manifest_of(checked))

    one = print_of("js_stability", told)
    assert one == print_of("js_stability", told | {"out": "y"}, shard="1/2")
    assert one != print_of("entropy", told)
    assert one != print_of("js_stability", told, batch_size=8)
    assert one != print_of("js_stability", told, pairs="en-fr")
