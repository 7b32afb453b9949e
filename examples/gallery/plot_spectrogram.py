"""
Sounds as spectrograms
======================

A spectrogram is an image: frequencies by times. So a network for images can classify sounds.
"""

# %%
# Each sound is a tone of half a second in noise. It rises, falls, or stays where it is.

import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import chirp, spectrogram

rng = np.random.default_rng(0)
rate = 2048  # samples per second
time = np.arange(rate // 2) / rate
names = np.array(["falls", "rises", "stays"])

y = rng.choice(names, 300)
low, high = rng.uniform(100, 350, 300), rng.uniform(450, 800, 300)
start = np.where(y == "rises", low, high)
end = np.select([y == "rises", y == "falls"], [high, low], start)
sounds = np.stack([chirp(time, first, time[-1], last) for first, last in zip(start, end, strict=True)])
sounds += rng.normal(0, 1, sounds.shape)

# %%
# The logarithm of the power keeps a few loud moments from dwarfing everything else.

frequencies, times, power = spectrogram(sounds, fs=rate, nperseg=64)
X = np.log(power + 1e-9).astype(np.float32)
print(X.shape)  # sounds, frequencies, times

fig, axes = plt.subplots(2, 3, figsize=(6, 3.6), layout="constrained", sharex="row", sharey="row")
for column, name in zip(axes.T, names, strict=True):
    index = np.flatnonzero(y == name)[0]
    column[0].plot(time, sounds[index], linewidth=0.3)
    column[0].set_title(name)
    column[1].pcolormesh(times, frequencies, X[index])
    column[1].set_xlabel("seconds")
axes[1, 0].set_ylabel("hertz")
plt.show()

# %%
# In the signal, the three kinds look alike. In the spectrogram, they can be told apart, and 150 sounds are enough to
# learn this.

from sklearn.metrics import ConfusionMatrixDisplay

from skcnn import NumpyCNNClassifier

clf = NumpyCNNClassifier(max_iter=15, random_state=0).fit(X[:150], y[:150])
print(f"accuracy on the other 150 sounds: {clf.score(X[150:], y[150:]):.3f}")

fig, ax = plt.subplots(figsize=(3.5, 3.5), layout="constrained")
ConfusionMatrixDisplay.from_estimator(clf, X[150:], y[150:], ax=ax, colorbar=False, cmap="Blues")
plt.show()
