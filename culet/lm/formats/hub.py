"""From what a user names, a folder or a Hub id, to a folder on this machine."""

import re
from collections.abc import Sequence
from pathlib import Path

# Everything a model needs that is only data: no pickles, no code.
PATTERNS = ("*.json", "*.safetensors", "*.jinja", "tokenizer.model")
_HUB_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*")


class HubError(FileNotFoundError):
    """A model that is neither a folder here nor to be had from the Hub."""


def resolve(path_or_hub_id: str | Path, revision: str | None = None, patterns: Sequence[str] = PATTERNS) -> Path:
    """The folder of a model. A folder that exists is itself and never touches the network; "owner/name" is fetched.

    Fetching goes through huggingface_hub: its cache, the token in `HF_TOKEN`, and `HF_HUB_OFFLINE=1` for the cache
    alone. `revision` is a branch, tag or commit there; `patterns` say which files to fetch. Raises `HubError` saying
    what to do when that fails.
    """
    name = str(path_or_hub_id)
    folder = Path(path_or_hub_id).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise HubError(f"{name!r} is a file; name the folder that holds config.json and the weights")
    if isinstance(path_or_hub_id, Path) or not _HUB_ID.fullmatch(name):
        raise HubError(f"{name!r} is neither a folder here nor a Hub id of the form owner/name")
    return _fetch(name, revision, patterns)


def _fetch(hub_id: str, revision: str | None, patterns: Sequence[str]) -> Path:
    import huggingface_hub
    from huggingface_hub import errors

    try:
        return Path(huggingface_hub.snapshot_download(hub_id, revision=revision, allow_patterns=list(patterns)))
    # The messages are ours alone: those of the library can carry addresses and request headers.
    except errors.GatedRepoError:
        problem = "is gated: accept its terms on its page, and set HF_TOKEN to a token of that account"
    except errors.RepositoryNotFoundError:
        problem = "is no folder here, and the Hub has no such model or HF_TOKEN gives no access to it"
    except errors.RevisionNotFoundError:
        problem = f"has no revision {revision!r} on the Hub"
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        where = "offline mode is on (HF_HUB_OFFLINE)" if huggingface_hub.is_offline_mode() else "the Hub is not reached"
        problem = f"is no folder here, not whole in the cache, and {where}"
    except errors.HFValidationError:
        problem = "is neither a folder here nor a well-formed Hub id"
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "no status")
        problem = f"could not be fetched: the Hub answered with {status}; is HF_TOKEN valid?"
    except Exception as error:  # whatever else network, disk or cache may raise
        problem = f"could not be fetched or stored ({getattr(error, 'strerror', None) or type(error).__name__})"
    raise HubError(f"{hub_id!r} {problem}")
