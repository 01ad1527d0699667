import subprocess

from culet.experiments import provenance


def test_commit_is_gits(monkeypatch, tmp_path):
    def git(*arguments):
        subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *arguments], check=True
        )

    package = tmp_path / "culet"
    package.mkdir()
    (package / "a.py").write_text("a = 1\n")
    monkeypatch.setattr(provenance, "PACKAGE", package)
    assert provenance.checkout() is None and provenance.commit() is None
    (tmp_path / "pyproject.toml").write_text("")
    git("init", "-q")
    assert provenance.checkout() == tmp_path and provenance.commit() is None
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    head = subprocess.check_output(["git", "-C", str(tmp_path), "rev-parse", "HEAD"], text=True).strip()
    assert provenance.commit() == head
    (tmp_path / "notes.md").write_text("outside the package")
    assert provenance.commit() == head
    (package / "a.py").write_text("a = 2\n")
    assert provenance.commit() == head + "-dirty"


def test_fingerprint_changes_with_the_code(monkeypatch, tmp_path):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    (tmp_path / "a.py").write_text("a = 1\n")
    first = provenance.fingerprint.__wrapped__()
    assert provenance.fingerprint.__wrapped__() == first
    (tmp_path / "a.py").write_text("a = 2\n")
    assert provenance.fingerprint.__wrapped__() != first
