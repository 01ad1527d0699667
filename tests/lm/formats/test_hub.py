"""The cache is laid out by hand as huggingface_hub lays it out; `HF_HUB_OFFLINE` is set for all tests."""

from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import errors

from culet.lm.formats.hub import PATTERNS, HubError, resolve

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache that holds the model owner/name at one commit, as links to blobs."""
    repository = tmp_path / "hub" / "models--owner--name"
    snapshot = repository / "snapshots" / COMMIT
    for folder in (snapshot, repository / "refs", repository / "blobs"):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "blobs" / "abc").write_text("{}")
    (snapshot / "config.json").symlink_to("../../blobs/abc")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    return snapshot


@pytest.fixture
def asked(monkeypatch):
    """Stands in for the download and keeps what it was asked for."""
    calls = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *a, **k: calls.append((a, k)) or "/cached")
    return calls


def test_a_folder_is_itself_and_asks_nobody(tmp_path, asked, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert resolve("owner/name") == Path("owner/name")
    assert resolve(tmp_path) == tmp_path
    assert resolve("~/owner") == tmp_path / "owner"
    assert asked == []


@pytest.mark.parametrize(
    "name", ["", "gpt", "a/b/c", "/no/such/folder", "./missing/model", "~/x", "a b/c", "\0/a", "a/\n"]
)
def test_what_is_neither_folder_nor_id_asks_nobody(tmp_path, asked, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HubError, match="neither a folder here nor a Hub id" if name else "^'.*is"):
        assert resolve(name or tmp_path / "nothing")
    assert asked == []


def test_a_file_is_no_model(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(HubError, match="is a file; name the folder"):
        resolve(tmp_path / "model.safetensors")


def test_ids_are_fetched_without_pickles(asked):
    assert resolve("owner/name", "v1") == Path("/cached")
    assert asked == [(("owner/name",), {"revision": "v1", "allow_patterns": list(PATTERNS)})]
    kept = huggingface_hub.utils.filter_repo_objects(
        ["config.json", "model-00001-of-00002.safetensors", "tokenizer.model", "chat_template.jinja",
         "pytorch_model.bin", "modeling.py", "model.gguf", "data.pkl", "training_args.pt"],
        allow_patterns=list(PATTERNS),
    )  # fmt: skip
    assert list(kept) == ["config.json", "model-00001-of-00002.safetensors", "tokenizer.model", "chat_template.jinja"]


def test_offline_the_cache_serves(cache):
    assert (resolve("owner/name") / "config.json").read_text() == "{}"
    assert resolve("owner/name", COMMIT) == cache


def test_offline_and_not_in_the_cache(cache):
    with pytest.raises(
        HubError, match="'owner/other' is no folder here, not whole in the cache, and offline mode is on"
    ):
        resolve("owner/other")
    with pytest.raises(HubError, match="not whole in the cache"):
        resolve("owner/name", "another-branch")


class Response:
    status_code, headers, request = 401, {"authorization": "Bearer hf_secret"}, None


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (errors.GatedRepoError, "is gated: accept its terms .* HF_TOKEN"),
        (errors.RepositoryNotFoundError, "the Hub has no such model"),
        (errors.RevisionNotFoundError, "no revision 'v9'"),
        (errors.LocalEntryNotFoundError, "not whole in the cache"),
        (errors.HfHubHTTPError, "answered with 401; is HF_TOKEN valid"),
        (errors.HFValidationError, "well-formed"),
        (OSError, "No space left on device"),
        (RuntimeError, r"could not be fetched or stored \(RuntimeError\)"),
    ],
)
def test_each_failure_is_one_clear_message_without_the_token(monkeypatch, kind, message):
    def fail(*args, **options):
        text = "token hf_secret was sent"
        if kind is OSError:
            raise OSError(28, "No space left on device", "hf_secret")
        raise kind(text, **({"response": Response()} if issubclass(kind, errors.HfHubHTTPError) else {}))

    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(HubError, match="'owner/name' .*" + message) as caught:
        resolve("owner/name", "v9")
    assert "hf_secret" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__context__ is None
