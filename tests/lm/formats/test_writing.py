import json

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors
from safetensors.numpy import load_file

from culet.lm.formats.tensors import TensorFolder
from culet.lm.formats.writing import staged, write_json, write_tensors

TENSORS = {
    "a": np.arange(12, dtype=np.float32).reshape(3, 4),
    "b": jnp.arange(5, dtype=jnp.bfloat16),
    "c": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "d": np.zeros((0, 2), np.float32),
}


def test_the_library_reads_what_we_write(tmp_path):
    seen = []
    write_tensors(tmp_path, TENSORS, advance=seen.append)
    theirs = load_file(tmp_path / "model.safetensors")
    for name, tensor in TENSORS.items():
        assert theirs[name].dtype == tensor.dtype and np.array_equal(theirs[name], np.asarray(tensor))
    assert seen == [48, 10, 24, 0]
    with safetensors.safe_open(tmp_path / "model.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt"}


def test_shards_and_cast(tmp_path):
    write_tensors(tmp_path, TENSORS, dtype=np.dtype(ml_dtypes.bfloat16), max_shard_bytes=24)
    names = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert names == [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 2 * (12 + 5 + 6)
    folder = TensorFolder(tmp_path)
    for name, tensor in TENSORS.items():
        got = folder.read(name)
        assert got.dtype == ml_dtypes.bfloat16
        assert np.array_equal(got, np.asarray(tensor).astype(ml_dtypes.bfloat16))


def test_dtypes_that_the_format_lacks(tmp_path):
    with pytest.raises(ValueError, match="'x': safetensors has no dtype complex64"):
        write_tensors(tmp_path, {"x": np.zeros(2, np.complex64)})


def save(folder, value, fail=False, **options):
    with staged(folder) as stage:
        write_tensors(stage, {"a": np.full(8, value, np.float32), "b": np.ones(8, np.float32)}, **options)
        if fail:
            raise OSError("disk full")
        write_json(stage / "config.json", {"value": value})


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_save_changes_nothing(tmp_path):
    folder = tmp_path / "model"
    with pytest.raises(OSError):
        save(folder, 1.0, fail=True)
    assert listing(folder) == []
    save(folder, 1.0)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OSError):
        save(folder, 2.0, fail=True, max_shard_bytes=32)
    assert listing(folder) == ["config.json", "model.safetensors", "notes.txt"]
    assert TensorFolder(folder).read("a")[0] == 1.0


def test_a_new_save_replaces_all_weights_of_the_old(tmp_path):
    save(tmp_path, 1.0, max_shard_bytes=32)
    assert len(list(tmp_path.glob("model-*"))) == 2
    (tmp_path / "adapter.safetensors").write_bytes(b"mine")
    save(tmp_path, 2.0)
    assert listing(tmp_path) == ["adapter.safetensors", "config.json", "model.safetensors"]
    assert TensorFolder(tmp_path).read("a")[0] == 2.0


def test_a_folder_between_two_saves_has_no_config(tmp_path, monkeypatch):
    """Killed at any rename, the folder is either whole or without config.json, which every reader asks for first."""
    from pathlib import Path

    plain_replace = Path.replace
    for after in range(4):
        folder = tmp_path / str(after)
        save(folder, 1.0)
        left = [after]

        def replace(self, target, left=left):
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return plain_replace(self, target)

        monkeypatch.setattr(Path, "replace", replace)
        try:
            save(folder, 2.0, max_shard_bytes=32)
        except KeyboardInterrupt:
            assert not (folder / "config.json").exists()
        else:
            pytest.fail("four renames were expected")
        monkeypatch.setattr(Path, "replace", plain_replace)
        save(folder, 3.0)  # and a later save cleans up
        assert listing(folder) == ["config.json", "model.safetensors"]


def test_leftovers_of_a_killed_save_go(tmp_path):
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "model.safetensors").write_bytes(b"half")
    save(tmp_path, 1.0)
    assert listing(tmp_path) == ["config.json", "model.safetensors"]
