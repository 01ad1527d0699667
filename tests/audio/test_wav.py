"""WAV files of all widths against the bytes that their format prescribes."""

import struct

import numpy as np
import pytest
import scipy.io.wavfile
import scipy.signal

from culet.audio.wav import read_wav, wav_bytes, write_wav


def wav(kind: int, bits: int, data: bytes, channels: int = 1, rate: int = 8000) -> bytes:
    """A RIFF file written by hand: kind 1 is PCM, 3 is float."""
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, bits)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize(
    "content",
    [
        wav(1, 8, bytes([0, 128, 192])),
        wav(1, 16, struct.pack("<3h", -32768, 0, 16384)),
        wav(1, 24, b"\x00\x00\x80" + b"\x00\x00\x00" + b"\x00\x00\x40"),
        wav(1, 32, struct.pack("<3i", -(2**31), 0, 2**30)),
        wav(3, 32, struct.pack("<3f", -1, 0, 0.5)),
        wav(3, 64, struct.pack("<3d", -1, 0, 0.5)),
        wav(1, 16, struct.pack("<6h", -32768, -32768, 16384, -16384, 32767, 1), channels=2),
    ],
    ids=["8", "16", "24", "32", "float", "double", "stereo"],
)
def test_reads_what_the_format_says(content, tmp_path):
    (tmp_path / "a.wav").write_bytes(content)
    samples, rate = read_wav(tmp_path / "a.wav")
    assert rate == 8000 and samples.dtype == np.float32
    np.testing.assert_allclose(samples, [-1, 0, 0.5], atol=1e-6)


def test_reads_past_other_chunks_and_from_pipes(tmp_path):
    """A chunk of odd size is followed by a byte of padding; a writer to a pipe cannot know the size."""
    content = wav(1, 16, struct.pack("<3h", -32768, 0, 16384))
    other = b"LIST" + struct.pack("<I", 5) + b"words" + b"\x00"
    longer = struct.pack("<I", len(content) + len(other) - 8)
    (tmp_path / "a.wav").write_bytes(b"RIFF" + longer + content[8:36] + other + content[36:] + b"tail")
    (tmp_path / "b.wav").write_bytes(content[:40] + b"\xff" * 4 + content[44:])
    for name in ("a.wav", "b.wav"):
        np.testing.assert_allclose(read_wav(tmp_path / name)[0], [-1, 0, 0.5], atol=1e-6)


def test_resamples_a_tone(tmp_path):
    time = np.arange(8000) / 8000
    scipy.io.wavfile.write(tmp_path / "a.wav", 8000, np.sin(2 * np.pi * 440 * time).astype(np.float32))
    samples, rate = read_wav(tmp_path / "a.wav", 11025)
    assert (rate, len(samples)) == (11025, 11025)
    wanted = np.sin(2 * np.pi * 440 * np.arange(11025) / 11025)
    np.testing.assert_allclose(samples[500:-500], wanted[500:-500], atol=2e-3)


def test_writes_what_others_read(tmp_path):
    samples = np.array([0.25, -1, 0.5], np.float32)
    write_wav(tmp_path / "new" / "a.wav", samples, 22050)
    rate, raw = scipy.io.wavfile.read(tmp_path / "new" / "a.wav")
    assert rate == 22050 and raw.dtype == np.int16
    np.testing.assert_array_equal(raw, np.round(32767 * samples))
    (tmp_path / "loud.wav").write_bytes(wav_bytes(4 * samples, 8000))
    np.testing.assert_allclose(read_wav(tmp_path / "loud.wav")[0], samples, atol=1e-4)  # brought down, not clipped


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a"),
        (b"OggS" + bytes(100), "not a"),
        (wav(1, 16, b"\x00\x00")[:30], "not a"),
        (wav(1, 16, b""), "no samples"),
        (wav(3, 32, struct.pack("<3f", 0, float("nan"), 0)), "not finite; 1 is"),
        (wav(1, 16, b"\x00\x00", channels=0), "not a|no samples"),
        (wav(1, 16, bytes(100))[:36], "no chunk of sound|end of file"),
        (wav(1, 16, bytes(100))[:-40], "cut short: 40 bytes"),
        (wav(1, 24, bytes(99))[:-40], "cut short: 40 bytes"),
        (wav(1, 16, bytes(200), channels=2)[:-4], "cut short: 4 bytes"),
        (wav(1, 16, bytes(100), rate=1), "rate of 1 Hz"),
        (wav(1, 16, bytes(100), rate=2**31 - 1), "rate of 2147483647 Hz"),
    ],
    ids=[
        "empty file",
        "ogg",
        "header cut",
        "no samples",
        "nan",
        "no channels",
        "no sound",
        "cut",
        "24 cut",
        "stereo cut",
        "slow",
        "fast",
    ],
)
def test_bad_files(content, message, tmp_path):
    (tmp_path / "bad.wav").write_bytes(content)
    with pytest.raises(ValueError, match=f"bad.wav.*({message})"):
        read_wav(tmp_path / "bad.wav")


def test_missing_file_and_nothing_to_write(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_wav(tmp_path / "none.wav")
    for samples in (np.zeros(0, np.float32), np.array([0, np.inf], np.float32)):
        with pytest.raises(ValueError, match="samples"):
            write_wav(tmp_path / "a.wav", samples, 8000)
    assert not list(tmp_path.iterdir())
