"""Tiny StarDist models by the original package, trained here on blobs; run with TensorFlow to write the fixtures.

.venv-tensorflow/bin/python tests/extras/make_keras_fixtures.py tests/core/engines/fixtures
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from scipy import ndimage

MODELS = {
    "grid1": {"grid": (1, 1), "n_rays": 8, "unet_n_depth": 1, "unet_batch_norm": False, "net_conv_after_unet": 0},
    "grid2_norm": {"grid": (2, 2), "n_rays": 16, "unet_n_depth": 2, "unet_batch_norm": True, "net_conv_after_unet": 8},
    "grid4": {
        "grid": (4, 4),
        "n_rays": 32,
        "unet_n_depth": 1,
        "unet_activation": "elu",
        "unet_last_activation": "elu",
        "unet_prefix": "a_",
    },
}
"""What differs between the models: every way in which a folder can be described is in one of them."""


def blobs(seed, size=96, n=24):
    """An image of bright discs on a noisy background, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size), np.int32)
    rows, columns = np.mgrid[:size, :size]
    for i in range(1, n + 1):
        row, column, radius = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(4, 8)
        near = (rows - row) ** 2 + (columns - column) ** 2
        if not labels[near <= (radius + 2) ** 2].any():
            labels[near <= radius**2] = i
    image = ndimage.gaussian_filter((labels > 0) * rng.uniform(0.5, 1.0, n + 1)[labels], 1)
    return (image + rng.normal(0, 0.05, image.shape)).astype(np.float32), labels


def make(folder, name, epochs=6):
    """Train one of `MODELS` for some steps with the original package; its folder has the name of the model."""
    import tensorflow as tf
    from stardist.models import Config2D, StarDist2D

    tf.keras.utils.set_random_seed(0)
    config = Config2D(
        **{"unet_n_filter_base": 3, "net_conv_after_unet": 8, **MODELS[name]},
        train_patch_size=(64, 64),
        train_batch_size=4,
        train_learning_rate=0.003,
        train_tensorboard=False,
        train_sample_cache=False,
    )
    model = StarDist2D(config, name=name, basedir=str(folder))
    images, labels = zip(*(blobs(seed) for seed in range(12)), strict=True)
    check = [np.stack(part) for part in zip(*(blobs(seed) for seed in range(100, 102)), strict=True)]
    model.train(list(images), list(labels), (list(check[0]), list(check[1])), seed=0, epochs=epochs, steps_per_epoch=20)
    # so few steps leave a network unsure: it is cut where it still finds something
    most = float(model.predict(check[0][0], axes="YX", verbose=0)[0].max())
    thresholds = {"prob": round(0.6 * most, 3), "nms": 0.3}
    (Path(folder) / name / "thresholds.json").write_text(json.dumps(thresholds))
    model.thresholds = thresholds
    return model


def answer(model, image):
    """What the original package predicts: probabilities, distances, and instances of all pixels, the border's too."""
    prob, dist = model.predict(image, axes="YX", verbose=0)[:2]
    labels, found = model._instances_from_prediction(image.shape, *model.predict(image, axes="YX", verbose=0)[:2], b=0)
    return {
        "prob": prob,
        "dist": dist.astype(np.float16),
        "labels": labels.astype(np.int16),
        "probability": found["prob"],
    }


def main(target):
    target = Path(target)
    for name in MODELS:
        model = make(target, name)
        for file in (target / name).iterdir():
            if file.name not in ("config.json", "thresholds.json", "weights_best.h5"):
                file.unlink()
        image, _ = blobs(7, size=58, n=14)
        np.savez_compressed(target / name / "answer.npz", image=image, **answer(model, image))


if __name__ == "__main__":
    main(sys.argv[1])
