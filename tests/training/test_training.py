from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from training.augment import crop
from training.data import DIAMETER, SHARPER, median_diameter, picture, read_splits, resize_labels, targets
from training.export import export
from training.train import CHECKPOINT, Plan, losses, rate_at, train


def disc_image(side: int = 96, radius: float = 9.0) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:side, :side]
    labels = np.zeros((side, side), np.int32)
    for i, (cy, cx) in enumerate([(24, 24), (24, 70), (70, 30), (66, 68)], 1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = i
    rng = np.random.default_rng(0)
    return (20 + 150 * (labels > 0) + rng.normal(0, 5, labels.shape)).clip(0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def pictures():
    return [picture(*disc_image(radius=radius), weight=1.0) for radius in (6, 9)]


SHORT = Plan(steps=4, batch=2, side=48, warm=2)


def test_a_resumed_run_is_the_run_without_a_break(pictures, tmp_path):
    whole = train(pictures, SHORT, tmp_path / "whole", say=lambda line: None)
    train(pictures, SHORT, tmp_path / "broken", until=2, say=lambda line: None)
    resumed = train(pictures, SHORT, tmp_path / "broken", resume=True, say=lambda line: None)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_another_seed_is_another_run_and_cannot_resume_this_one(pictures, tmp_path):
    one = train(pictures, replace(SHORT, steps=1), tmp_path, say=lambda line: None)
    other = train(pictures, replace(SHORT, steps=1, seed=1), tmp_path / "other", say=lambda line: None)
    assert not torch.equal(one.prob.weight, other.prob.weight)
    with pytest.raises(SystemExit, match="another seed"):
        train(pictures, replace(SHORT, seed=1), tmp_path, resume=True, say=lambda line: None)


def test_an_exported_run_opens_as_a_model_and_tells_the_same(pictures, tmp_path):
    from segapp.core.engines.options import StardistParams
    from segapp.core.engines.stardist.predict import network
    from segapp.io.models import open_model

    averaged = train(pictures, replace(SHORT, steps=2), tmp_path / "run", say=lambda line: None).eval()
    config = export(tmp_path / "run" / CHECKPOINT, tmp_path / "model", {"prob_thresh": 0.45, "nms_thresh": 0.3})
    assert (config["prob_thresh"], config["diameter"]) == (0.45, DIAMETER)
    # written again without thresholds, it keeps those that were chosen
    assert export(tmp_path / "run" / CHECKPOINT, tmp_path / "model")["prob_thresh"] == 0.45
    opened = network(open_model(StardistParams(model=str(tmp_path / "model"))))
    image = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for told, expected in zip(opened(image), averaged(image), strict=True):
            torch.testing.assert_close(told, expected, atol=1e-4, rtol=1e-4)


def test_targets_of_a_disc():
    labels = disc_image()[1]
    prob, dist = targets(labels, 32, 2)
    assert prob.shape == (48, 48) and dist.shape == (32, 48, 48)
    assert prob[12, 12] == 1 and prob[0, 0] == 0
    np.testing.assert_allclose(dist[:, 12, 12], 9.5, atol=1)
    # ray 0 goes along +x, ray 8 along +y
    assert dist[0, 12, 14] < dist[16, 12, 14] - 5
    assert dist[8, 14, 12] < dist[24, 14, 12] - 5


def test_the_loss_is_least_at_the_truth():
    labels = disc_image()[1]
    prob, dist = (torch.from_numpy(part.copy())[None] for part in targets(labels, 32, 2))
    valid = torch.ones_like(prob)
    logits = torch.logit(prob, eps=1e-4)
    right = losses(logits, dist.clamp(min=0.5).log(), prob, dist, valid)
    wrong = losses(-logits, (dist * 1.3).clamp(min=0.5).log(), prob, dist, valid)
    assert float(right[1]) < 1e-5
    assert float(right[0]) < float(wrong[0]) and float(wrong[1]) > 0.4


def test_a_picture_has_nuclei_of_the_kept_size_where_they_were():
    image, labels = disc_image()
    made = picture(image, labels, 1.0)
    assert median_diameter(made.labels) == pytest.approx(SHARPER * DIAMETER, rel=0.06)
    scale = made.labels.shape[0] / labels.shape[0]
    for i in range(1, 5):
        before, after = (np.argwhere(array == i).mean(0) for array in (labels, made.labels))
        np.testing.assert_allclose((before + 0.5) * scale - 0.5, after, atol=0.6)


def test_labels_shrink_and_grow_in_place():
    labels = disc_image()[1]
    back = resize_labels(resize_labels(labels, (240, 240)), labels.shape)
    assert (back != labels).mean() < 0.01


def test_a_crop_follows_from_its_seed(pictures):
    chances = np.array([0.5, 0.5])
    one, two, three = (crop(np.random.default_rng([0, s, 0]), pictures, chances, 48, 32, 2) for s in (1, 1, 2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one[0], three[0])
    assert all(np.isfinite(part).all() for part in one)


def test_the_rate_rises_stays_and_falls():
    plan = Plan(steps=1000, warm=100, decay=0.4)
    rates = [rate_at(step, plan) for step in range(1000)]
    assert rates[0] < rates[50] < rates[100] == rates[599] == plan.rate
    assert np.all(np.diff(rates[600:]) <= 0) and rates[-1] < 0.01 * plan.rate


def test_no_group_of_images_is_on_two_sides():
    rows = read_splits()
    assert {row["split"] for row in rows} == {"train", "tune", "report"}
    assert len({row["group"] for row in rows}) == len({(row["group"], row["split"]) for row in rows})
    assert len({row["key"] for row in rows}) == len(rows) == 474
