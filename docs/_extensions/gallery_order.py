"""The order of the examples in the gallery: data, training, a look inside, scikit-learn and more."""

ORDER = [
    *("digits", "image_folder", "table", "signal", "spectrogram"),
    *("augmentation", "small_data", "imbalance", "early_stopping", "schedules", "training", "learning_curve"),
    *("kernels", "feature_maps", "saliency", "similar_images", "mistakes", "calibration", "why_convolve"),
    *("pipeline_search", "own_layer", "loggers", "dask"),
]


def position(filename):
    """Return the sort key of an example. Those that are not listed come last, by name."""
    name = filename.removeprefix("plot_").removesuffix(".py")
    return ORDER.index(name) if name in ORDER else len(ORDER), name
