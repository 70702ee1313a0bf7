"""Archives of runs are checkpoints; further runs of the bundled ones are archives that lie elsewhere."""

from __future__ import annotations

import zipfile

import pytest
import torch

from xlprobe import load, save
from xlprobe.checkpoints import bundled
from xlprobe.checkpoints.delta import WEIGHTS, make_delta, save_delta
from xlprobe.checkpoints.hashing import hash_file
from xlprobe.errors import CheckpointError, TrainingError
from xlprobe.training.archives import unpack_archive


@pytest.fixture
def archive(tiny_checkpoints, tmp_path):
    """The archive of a run of seed 1."""
    save(tiny_checkpoints("bert", "ForSequenceClassification"), tmp_path / "base")
    base = load(tmp_path / "base")
    tuned = load(tmp_path / "base").model
    with torch.no_grad():
        tuned.classifier.bias.add_(1.0)
    file = save_delta(make_delta(base, tuned, {"seed": 1}), tmp_path / WEIGHTS)
    path = tmp_path / "runs" / "baseline-longer-seed1.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as packed:
        packed.write(file, WEIGHTS)
        packed.writestr("card.md", "# a run")
    return path


def test_an_archive_is_the_checkpoint_in_it(archive, tmp_path):
    found = load(archive)
    assert (found.name, found.spec, found.provenance["seed"]) == ("baseline-longer-seed1", str(archive), 1)
    assert found.hash == load(tmp_path / WEIGHTS).hash
    assert load(archive, name="own").name == "own"


def test_an_archive_without_a_checkpoint_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "query.zip", "w") as packed:
        packed.writestr("query.safetensors", b"")
    with pytest.raises(CheckpointError, match="holds no weights.safetensors"):
        load(tmp_path / "query.zip")


@pytest.mark.parametrize("keep", [0, 30, -40])
def test_a_damaged_archive_is_refused(archive, keep):
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="cannot read the archive"):
        load(archive)


def test_a_damaged_compressed_stream_is_refused(tmp_path):
    path = tmp_path / "run.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(WEIGHTS, bytes(range(256)) * 40)
    damaged = bytearray(path.read_bytes())
    start = 30 + len(WEIGHTS)  # the file's own header
    damaged[start : start + 8] = b"\xff" * 8
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError, match="cannot read the archive"):
        load(path)
    with pytest.raises(TrainingError, match="cannot read the archive"):
        unpack_archive(path, tmp_path / "run")


def test_another_run_of_a_bundled_checkpoint_is_taken_from_where_archives_are(archive, monkeypatch):
    monkeypatch.setattr(bundled, "SEEDS", {"baseline": 0})
    monkeypatch.setattr(bundled, "OTHER_SEEDS", {"baseline@1": hash_file(archive)})
    monkeypatch.setenv("XLPROBE_RUNS", str(archive.parent))
    found = load("bundled:baseline@1")
    assert (found.name, found.spec, found.provenance["seed"]) == ("baseline", "bundled:baseline@1", 1)
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr("more", b"1")
    with pytest.raises(CheckpointError, match="it is damaged"):
        load("bundled:baseline@1")
    monkeypatch.setenv("XLPROBE_RUNS", str(archive.parent / "elsewhere"))
    with pytest.raises(CheckpointError, match=r"baseline-longer-seed1\.zip lies in studies/runs .* Set XLPROBE_RUNS"):
        load("bundled:baseline@1")
    with pytest.raises(CheckpointError, match="unknown checkpoint 'bundled:baseline@9'; .* bundled:baseline@1"):
        load("bundled:baseline@9")


def test_the_runs_of_the_source_are_those_that_are_named():
    directory = bundled.archive_of("baseline@0").parent
    if not directory.is_dir():
        pytest.skip("the archives are not here; they are in studies/runs of the source")
    for name, digest in bundled.OTHER_SEEDS.items():
        assert hash_file(bundled.archive_of(name)) == digest
    shipped = {f"{name}@{seed}" for name, seed in bundled.SEEDS.items()}
    lying = {
        f"{name}@{path.stem.rpartition('-seed')[2]}"
        for name, recipe in bundled.RUNS.items()
        for path in directory.glob(f"{recipe}-seed*.zip")
    }
    assert lying == shipped | set(bundled.OTHER_SEEDS)
