"""Pictures of a fitted classifier: its training, its kernels, its feature maps, and what its predictions depend on.

They follow scikit-learn's convention for displays: ``from_estimator`` computes and draws, ``plot`` draws again, and
``ax_`` (or ``axes_``) and ``figure_`` are what was drawn on. They need matplotlib: ``pip install "skcnn[plots]"``.
"""

from skcnn.inspection.activations import ActivationsDisplay
from skcnn.inspection.kernels import KernelsDisplay
from skcnn.inspection.occlusion import OcclusionDisplay
from skcnn.inspection.training import TrainingDisplay

__all__ = ["ActivationsDisplay", "KernelsDisplay", "OcclusionDisplay", "TrainingDisplay"]
