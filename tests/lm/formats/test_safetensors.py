"""The safetensors library is the oracle: it writes what we read, and accepts whatever we accept."""

import json
import time
import tracemalloc
from pathlib import Path

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save, save_file

from culet.lm.formats.json_file import MOST_BYTES, TensorError
from culet.lm.formats.safetensors import DTYPES, INDEX, TensorFolder, read_header, write_tensors

SAMPLE = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.ones((4,), ml_dtypes.bfloat16),
    "c": np.zeros((0, 5), np.float16),
    "d": np.full((), 3.0, np.float32),
}


def file_of(header, data=b""):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + data


def tensor(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_reads_what_the_library_writes(tmp_path, dtype):
    wanted = np.arange(24).reshape(4, 3, 2).astype(dtype)
    save_file({"x": wanted, "y": wanted[1]}, tmp_path / "model.safetensors")
    folder = TensorFolder(tmp_path)
    got = folder.read("x")
    assert got.dtype == dtype and np.array_equal(got, wanted)
    assert np.array_equal(folder.read("y"), wanted[1])
    assert np.array_equal(folder.read("x", slice(1, 3)), wanted[1:3])
    assert folder.read("x", slice(4, 9)).shape == (0, 3, 2)


def test_empty_and_scalar_tensors(tmp_path):
    save_file(SAMPLE, tmp_path / "model.safetensors")
    folder = TensorFolder(tmp_path)
    assert {name: folder.read(name).tolist() for name in SAMPLE} == {name: SAMPLE[name].tolist() for name in SAMPLE}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "too few"),
        ((2**63).to_bytes(8, "little") + b"{}", "header claims 9223372036854775808 bytes"),
        ((MOST_BYTES + 1).to_bytes(8, "little") + b" " * (MOST_BYTES + 8), "header claims"),
        (file_of({"x": tensor()}, b"1234567"), "'x': ends at byte .* truncated"),
        (file_of({"x": tensor()}, b"123456789"), "1 bytes follow the last tensor"),
        (file_of({"x": tensor("F31")}, bytes(8)), "'x': dtype 'F31' is unknown"),
        (file_of({"x": tensor() | {"dtype": ["F32"]}}, bytes(8)), "'x': dtype a list of 1 is unknown"),
        (file_of({"x": tensor(shape=(-2,))}, bytes(8)), "'x': shape must be"),
        (file_of({"x": tensor(shape=(True, 2))}, bytes(8)), "'x': shape must be"),
        (file_of({"x": tensor(shape=(2.0,))}, bytes(8)), "'x': shape must be"),
        (file_of({"x": tensor(shape=(2**47, 2**47))}, bytes(8)), "'x': F32 of shape"),
        (file_of({"x": tensor(shape=(1,) * 20)}, bytes(8)), "'x': shape must be at most"),
        (file_of({"x": tensor(offsets=(8, 0))}, bytes(8)), "'x': F32 of shape .* takes 8 bytes"),
        (file_of({"x": tensor(offsets=(0, 8, 9))}, bytes(8)), "'x': data_offsets must be two"),
        (file_of({"x": tensor(offsets=(4, 12))}, bytes(12)), "'x': leaves a gap"),
        (file_of({"x": tensor(), "y": tensor()}, bytes(16)), "'y': overlaps"),
        (file_of({"x": tensor() | {"more": 1}}, bytes(8)), "'x': must have exactly"),
        (file_of({"x": 3}), "'x': must have exactly"),
        (file_of({"__metadata__": {"a": 1}}), "__metadata__ must map"),
        (file_of(b'{"x": {}, "x": {}}'), "key 'x' stands twice"),
        (file_of(b"[" * 100_000), "nested too deeply"),
    ],
)
def test_unsound_files_are_refused_with_file_and_tensor(tmp_path, content, message):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(TensorError, match="model.safetensors: .*" + message):
        read_header(path)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    (tmp_path / "model.safetensors").write_bytes(VALID)

    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(TensorError, match=r"model.safetensors: cannot be read \(Permission denied\)"):
        TensorFolder(tmp_path)


def write_sharded(folder, weight_map=None):
    save_file({"a": SAMPLE["a"]}, folder / "model-00001-of-00002.safetensors")
    save_file({"b": SAMPLE["b"]}, folder / "model-00002-of-00002.safetensors")
    weight_map = weight_map or {f: f"model-0000{i}-of-00002.safetensors" for i, f in enumerate("ab", 1)}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def test_shards(tmp_path):
    write_sharded(tmp_path)
    folder = TensorFolder(tmp_path)
    assert sorted(folder.entries) == ["a", "b"]
    assert np.array_equal(folder.read("a"), SAMPLE["a"]) and np.array_equal(folder.read("b"), SAMPLE["b"])


ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"a": ONE, "b": "model-00003.safetensors"}, "model-00003.safetensors missing"),
        ({"a": ONE, "b": ONE}, f"{ONE}: tensor 'b' is missing"),
        ({"a": ONE, "b": TWO, "c": TWO}, f"{TWO}: tensor 'c' is missing"),
        ({"a": ONE, "b": f"../{TWO}"}, "tensor 'b': .* is not the plain name"),
        ({"a": ONE, "b": "/etc/hosts"}, "tensor 'b': .* is not the plain name"),
        ({"a": ONE, "b": "\u0000.safetensors"}, "tensor 'b': .* is not the plain name"),
        ({"a": ONE, "b": 2}, "tensor 'b': 2 is not the plain name"),
        (["a"], "weight_map must map"),
    ],
)
def test_bad_indexes(tmp_path, weight_map, message):
    write_sharded(tmp_path, weight_map)
    with pytest.raises(TensorError, match=message):
        TensorFolder(tmp_path)


def test_shard_with_a_tensor_unknown_to_the_index(tmp_path):
    write_sharded(tmp_path)
    save_file({"b": SAMPLE["b"], "z": SAMPLE["b"]}, tmp_path / TWO)
    with pytest.raises(TensorError, match=f"{TWO}: tensor 'z' stands here"):
        TensorFolder(tmp_path)


def test_folder_without_safetensors_and_file_that_shrinks(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(TensorError, match="convert them to safetensors"):
        TensorFolder(tmp_path)
    save_file(SAMPLE, tmp_path / "model.safetensors")
    folder = TensorFolder(tmp_path)
    content = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(content[:-20])
    with pytest.raises(TensorError, match="became shorter"):
        folder.read("b")


# Fuzzing: whatever stands in the file, it is read as the library reads it or refused with our error.
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
near_tensors = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([*DTYPES, "F4", "C64", ""]) | json_values,
        "shape": st.lists(st.integers(-1, 4) | st.integers(), max_size=3) | json_values,
        "data_offsets": st.lists(st.integers(-1, 40) | st.integers(), min_size=1, max_size=3) | json_values,
    }
)
near_headers = st.dictionaries(st.text(max_size=4) | st.just("__metadata__"), near_tensors | json_values, max_size=3)
VALID = save(SAMPLE, {"format": "pt"})


@st.composite
def mutated(draw):
    content = bytearray(VALID)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, min(len(content), 330)))
        cut = draw(st.integers(0, 8))
        content[at : at + cut] = draw(st.binary(max_size=8) | st.sampled_from([b"-", b"9", b"00", b'"', b"[]", b"1e9"]))
    return bytes(content)


contents = st.binary(max_size=60) | mutated() | st.builds(file_of, near_headers, st.binary(max_size=64))
contents |= st.integers(0, len(VALID)).map(lambda n: VALID[:n])


@settings(max_examples=600, deadline=2000)
@given(content=contents)
def test_any_bytes_are_read_as_the_library_reads_them_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    path.write_bytes(content)
    try:
        entries = read_header(path)
    except TensorError as error:
        assert "fuzz.safetensors" in str(error) and len(str(error)) < 800
        str(error).encode()
        return
    with safetensors.safe_open(path, "np") as theirs:
        assert sorted(theirs.keys()) == sorted(entries)
        for name, entry in entries.items():
            assert tuple(theirs.get_slice(name).get_shape()) == entry.shape


@pytest.mark.parametrize(
    "header",
    [b'{"x":' + b"[{}," * (MOST_BYTES // 4 - 4), b'{"x":[' + b"0," * (MOST_BYTES // 2 - 8) + b"0]}",
     b'{"x":[' + b"{}," * (MOST_BYTES // 3 - 8) + b"0]}"],
)  # fmt: skip
def test_the_worst_headers_cost_little_time_and_memory(tmp_path, header):
    path = tmp_path / "model.safetensors"
    path.write_bytes(file_of(header))
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(TensorError):
            read_header(path)
        assert tracemalloc.get_traced_memory()[1] < 4e8
        assert time.perf_counter() - start < 30
    finally:
        tracemalloc.stop()


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
