import pytest

from culet import core
from culet.core import files


def test_write_replaces_and_makes_folders(tmp_path):
    path = tmp_path / "a/b/file.txt"
    core.atomic_write(path, "één")
    assert path.read_bytes() == "één".encode()
    core.atomic_write(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.txt"
    core.atomic_write(path, "old")

    def full(_):
        raise OSError("No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        core.atomic_write(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_folder_is_whole_or_absent(tmp_path):
    path = tmp_path / "model"
    with pytest.raises(RuntimeError), core.atomic_folder(path) as folder:
        (folder / "half").write_text("x")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    for text in ("one", "two"):  # the second takes the place of the first
        with core.atomic_folder(path) as folder:
            (folder / "sub").mkdir()
            (folder / "sub" / text).write_text(text)
            assert not (path / "sub" / text).exists()
        assert [p.name for p in (path / "sub").iterdir()] == [text]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
