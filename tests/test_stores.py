"""Addresses of stores: what is copied when, what is put where, and what is left when a store fails."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pandas as pd
import pytest

from xlprobe import samples
from xlprobe.errors import DataError, ResultsError, XlprobeError
from xlprobe.measuring.inputs import problems_of
from xlprobe.results import COLUMNS, Results
from xlprobe.samples.readers import parse_spec, write_jsonl
from xlprobe.stores import address_of, fetched, local_path, put_now, staged
from xlprobe.training.sources import evaluation_problems


@pytest.fixture
def table():
    rows = {"checkpoint": ["a"] * 3, "metric": ["entropy"] * 3, "value": [1.0, 2.0, float("nan")]}
    return Results(pd.DataFrame(rows).reindex(columns=COLUMNS), {"seed": 3})


@pytest.mark.parametrize("address", ["s3://bucket/a/run", "memory://table", "gcs://b/x y.jsonl", "s3://b"])
def test_an_address_is_known_as_a_text_and_as_a_path(address):
    assert address_of(address) == address_of(f"{address}/") == address_of(Path(address)) == address
    assert address_of("hdfs:///user/run") == "hdfs:///user/run"


@pytest.mark.parametrize(
    "path", ["runs/a", "/runs", "C:/runs", "C:\\runs", "c:runs", "a:jsonl", "./s3:x", "file:///runs/a"]
)
def test_a_path_of_this_machine_is_none(path):
    assert address_of(path) is address_of(Path(path)) is None


def test_a_path_is_taken_as_it_is(tmp_path):
    for given in (tmp_path, str(tmp_path), f"file://{tmp_path}", Path(f"file://{tmp_path}")):
        assert fetched(given) == local_path(given) == tmp_path
        with staged(given) as place:
            assert place.path == tmp_path
        with pytest.raises(ZeroDivisionError), staged(given):
            raise ZeroDivisionError
    assert tmp_path.is_dir()


def test_a_table_comes_back_row_for_row(table, memory, tmp_path):
    table.save("memory://bucket/run")
    table.save(f"file://{tmp_path}/run")
    files = sorted(Path(name).name for name in memory.find("/bucket"))
    assert files == sorted(path.name for path in (tmp_path / "run").iterdir()) == ["manifest.json", "results.parquet"]
    for address in ("memory://bucket/run", "memory://bucket/run/results.parquet", Path("memory://bucket/run")):
        read = Results.load(address)
        assert read.to_frame().equals(Results.load(tmp_path / "run").to_frame())
        assert read.manifest == {"seed": 3}


def test_a_copy_is_made_once_and_again_where_the_store_has_another(table, memory, monkeypatch):
    gets, get = [], memory.get
    monkeypatch.setattr(
        type(memory), "get", lambda self, *paths, **options: gets.append(paths) or get(*paths, **options)
    )
    table.save("memory://run")
    kept = [Results.load("memory://run").path for _ in range(2)]
    assert len(gets) == 1
    assert kept[0] == kept[1]
    table.select(value=1.0).save("memory://run")
    assert len(Results.load("memory://run")) == 1
    assert len(gets) == 2
    monkeypatch.setenv("XLPROBE_CACHE", "off")
    assert len(Results.load("memory://run")) == 1


@pytest.mark.parametrize("address", ["memory://bucket/some.jsonl.gz", "memory://bucket/some.jsonl.gz:jsonl"])
def test_samples_are_read_from_a_store(memory, tmp_path, address):
    made = samples.generate(3, languages=("en", "fr"), seed=0, **samples.SMALL)
    write_jsonl(made, tmp_path / "some.jsonl.gz")
    memory.put_file(str(tmp_path / "some.jsonl.gz"), "/bucket/some.jsonl.gz")
    assert list(samples.read(*parse_spec(address))) == made
    assert list(samples.read("memory://bucket/some.jsonl.gz")) == made
    assert problems_of(address) == evaluation_problems(address, "en fr") == made


def test_directories_of_samples_are_too(memory, tmp_path):
    rows = {"en": "Anne is kind.", "fr": "Anne est gentille."}
    for code, text in rows.items():
        row = json.dumps({"id": "1", "context": text, "question": text, "label": "entailment"}) + "\n"
        memory.pipe_file(f"/bucket/set/dev.{code}.jsonl", row.encode())
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / f"dev.{code}.jsonl").write_text(row)
    memory.pipe_file("/bucket/set/../../escaped.jsonl", b"{}")
    assert list(samples.read("memory://bucket/set")) == list(samples.read(tmp_path / "set"))


def test_what_fails_says_what_to_do(table, memory, monkeypatch):
    with pytest.raises(DataError, match=r"cannot read memory://no/x.jsonl: FileNotFoundError.*check the address"):
        samples.read("memory://no/x.jsonl")
    with pytest.raises(ResultsError, match="cannot read nope://x: ValueError: Protocol not known"):
        Results.load("nope://x")

    def denied(self, path, **options):
        raise PermissionError("Forbidden")

    monkeypatch.setattr(type(memory), "info", denied)
    with pytest.raises(ResultsError, match=r"memory://run: PermissionError: Forbidden. Access is denied"):
        Results.load("memory://run")


@pytest.mark.skipif(importlib.util.find_spec("s3fs") is not None, reason="s3fs is here")
def test_a_package_that_is_not_installed_is_named(table):
    with pytest.raises(ResultsError, match="cannot write to s3://bucket/run: .*pip install s3fs"):
        table.save("s3://bucket/run")


def test_a_store_that_cannot_be_written_is_found_out_before_the_work(memory, monkeypatch):
    def denied(self, *paths, **options):
        raise PermissionError("Forbidden")

    monkeypatch.setattr(type(memory), "put_file", denied)
    with pytest.raises(ResultsError, match="Access is denied"), staged("memory://run"):
        pytest.fail("not reached")


def failing(monkeypatch, memory, error):
    """Let the store fail while a table is sent, after half of it."""
    put = type(memory).put_file

    def broken(self, path, target, **options):
        if "results.parquet" in target:
            self.pipe_file(target, Path(path).read_bytes()[:50])
            raise error
        put(self, path, target, **options)

    monkeypatch.setattr(type(memory), "put_file", broken)


def test_a_store_that_fails_leaves_the_copy_here_and_nothing_half_there(table, memory, monkeypatch):
    table.save("memory://run")
    before = {name: memory.cat_file(name) for name in memory.find("/run")}
    failing(monkeypatch, memory, ConnectionError("gone"))
    with pytest.raises(
        ResultsError, match=r"write to memory://run: ConnectionError: gone.*kept in (\S+); copy"
    ) as caught:
        table.select(value=1.0).save("memory://run")
    assert {name: memory.cat_file(name) for name in memory.find("/run")} == before
    kept = Path(str(caught.value).split("kept in ")[1].split(";")[0])
    assert len(Results.load(kept)) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ConnectionError("gone")])
def test_what_ended_the_work_is_what_is_raised(memory, monkeypatch, capsys, error):
    failing(monkeypatch, memory, error)
    with pytest.raises(ZeroDivisionError), staged("memory://run") as place:
        (place.path / "results.parquet").write_bytes(b"x" * 99)
        raise ZeroDivisionError
    assert f"kept in {place.path}" in capsys.readouterr().err
    assert place.path.is_dir()
    assert memory.find("/run") == []


def test_what_is_finished_is_put_in_an_order_that_can_be_stopped(memory, monkeypatch):
    sent, move = [], type(memory).mv
    monkeypatch.setattr(type(memory), "mv", lambda self, a, b: sent.append(b.removeprefix("/run/")) or move(self, a, b))
    shard, table = [".shards-1/a-0/rows.arrow", ".shards-1/a-0/state.json"], ["results.parquet", "manifest.json"]
    with staged("memory://run") as place, staged("memory://run/") as same:
        assert same is place
        (place.path / ".shards-1" / "a-0").mkdir(parents=True)
        for name in (*table, ".part-1-of-2", *shard):
            (place.path / name).write_text("x")
        sent.clear()  # of the file that tries the store
        put_now(place.path / ".shards-1" / "a-0")
        put_now(Path("elsewhere"))
        assert sent == shard
    assert sent == [*shard, ".part-1-of-2", *table]
    path = place.path
    del place, same
    assert not path.exists()


def test_a_run_begins_with_what_it_needs_and_removes_what_is_done_with(memory):
    for name in (".shards-1/a-0/rows.arrow", ".shards-1/a-1/rows.arrow", "results.parquet"):
        memory.pipe_file(f"/run/{name}", b"x")
    with staged("memory://run", lambda name: "a-0" in name) as place:
        (found,) = (one for one in place.path.rglob("*") if one.is_file())
        assert found.relative_to(place.path).as_posix() == ".shards-1/a-0/rows.arrow"
        found.unlink()
    assert memory.find("/run") == ["/run/.shards-1/a-1/rows.arrow", "/run/results.parquet"]


def test_an_error_about_the_copy_says_what_it_stands_in_for(memory):
    with (
        pytest.raises(XlprobeError, match=r"^no (\S+) \(\1 stood in for memory://run\)$"),
        staged("memory://run") as place,
    ):
        raise XlprobeError(f"no {place.path}")
    assert not place.path.exists()
