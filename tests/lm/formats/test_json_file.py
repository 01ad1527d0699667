import pytest

from culet.lm.formats.json_file import MOST_BYTES, ConfigError, brief, parse_object, read_object


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not valid JSON"),
        (b"[1, 2]", "must hold one JSON object, not a list of 2"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "key 'c' stands twice"),
        (b"\xff\xfe{}", "not valid JSON"),
        (b'{"a": ' + b"[" * 200_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"a": 1} {', "not valid JSON"),
    ],
)
def test_broken_json_is_one_error_that_names_its_source(raw, message):
    with pytest.raises(ConfigError, match="somewhere.json: .*" + message.replace("[", r"\[")):
        parse_object(raw, "somewhere.json", ConfigError)


def test_files_that_are_missing_or_too_large(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        read_object(tmp_path / "none.json", ConfigError)
    with pytest.raises(ConfigError, match="no such file"):
        read_object(tmp_path, ConfigError)
    large = tmp_path / "large.json"
    large.write_bytes(b'{"a": 1}' + b" " * MOST_BYTES)
    with pytest.raises(ConfigError, match="too large"):
        read_object(large, ConfigError)


def test_values_in_messages_are_short_and_printable():
    assert brief("\ud800" * 1000).isascii() and len(brief("\ud800" * 1000)) <= 120
    assert len(brief(10**4000)) < 60
    assert brief({"a": 1}) == "a dict of 1"
