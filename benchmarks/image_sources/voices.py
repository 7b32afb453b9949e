"""Spectrograms of speech: the prompts of a telephone system in five languages. The class is the language.

One person speaks each language, so that the class is also the speaker. A prompt, such as "minutes", has the same name
in all languages: the names of the groups.
"""

from __future__ import annotations

import numpy as np

from .packages import debian

LANGUAGES = ("en", "es", "fr", "it", "ru")
SAMPLES = 3264  # 0.4 seconds at 8 kHz, which become 50 columns


def spectrograms():
    """Return X (n, 65, 50) of float32, in dB, y and the prompts' names: the loudest 0.4 seconds of each recording."""
    found = [sample for language in LANGUAGES for sample in _language(language)]
    X, y, prompts = zip(*found, strict=True)
    return np.stack(X), np.array(y), np.array(prompts)


def _language(language):
    from scipy.io import wavfile

    for path in sorted(debian(f"asterisk-core-sounds-{language}-wav").glob("**/*.wav")):
        rate, sound = wavfile.read(path)
        if len(sound) >= SAMPLES and "silence" not in path.parts:
            yield _decibels(_loudest(sound / 32768.0), rate), language, path.stem


def _loudest(sound):
    energy = np.cumsum(np.concatenate([[0.0], sound**2]))
    start = np.argmax(energy[SAMPLES:] - energy[:-SAMPLES])
    return sound[start : start + SAMPLES]


def _decibels(sound, rate):
    from scipy.signal import spectrogram

    power = spectrogram(sound, rate, nperseg=128, noverlap=64)[2]
    return (10 * np.log10(power + 1e-10)).astype(np.float32)
