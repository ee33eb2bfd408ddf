"""The MNIST task: pixels, labels and noise for both heads, held-out digits left clean, and
nested training sets.

Run alone: python -m pytest tests/tasks/test_mnist.py
"""

import pytest
import torch

from harness.task import Data, Seeds
from tasks.digits import load_digits, stratified
from tasks.mnist import Mnist, MnistConfig

PARITY = {"n": 200, "label_flip": 0.2}
DIGITS = {"n": 200, "head": "digits", "label_resample": 0.3}


def data(seed: int = 0, **fields) -> Data:
    return Mnist().data(MnistConfig(**fields), Seeds(seed))


@pytest.mark.slow
@pytest.mark.parametrize("fields", [PARITY, DIGITS], ids=["parity", "digits"])
def test_shapes_and_pixels(fields: dict):
    made = data(**fields)
    assert made.x_train.shape == (200, 1, 28, 28) and made.x_test.shape == (1000, 1, 28, 28)
    assert made.y_train.shape == (200,) and made.y_test.shape == (1000,)
    assert float(made.x_train.min()) == 0.0 and float(made.x_train.max()) == 1.0
    assert made.box == (0.0, 1.0)
    assert (made.classes, made.manifold) == (10 if "head" in fields else None, "euclidean")


def test_parity_is_plus_one_for_odd():
    labels = load_digits("mnist-5k").y_test
    y = data(**PARITY).y_test
    assert set(y[labels % 2 == 1].tolist()) == {1.0} and set(y[labels % 2 == 0].tolist()) == {-1.0}


def test_held_out_labels_carry_no_injected_noise():
    assert torch.equal(data(**{**PARITY, "label_flip": 0.5}).y_test, data(**PARITY).y_test)
    assert torch.equal(
        data(**{**DIGITS, "label_resample": 1.0}).y_test, load_digits("mnist-5k").y_test
    )


@pytest.mark.parametrize("fields", [PARITY, DIGITS], ids=["parity", "digits"])
def test_only_labels_are_noisy_and_by_the_stated_share(fields: dict):
    clean = {"n": 4000, "head": fields.get("head", "parity"), "stop": "epochs"}
    noisy = {**fields, "n": 4000}
    a, b = data(**clean), data(**noisy)
    assert torch.equal(a.x_train, b.x_train)
    expected = 0.2 if fields is PARITY else 0.3 * 0.9
    changed = float((a.y_train != b.y_train).float().mean())
    assert abs(changed - expected) <= 4 * (expected * (1 - expected) / 4000) ** 0.5
    assert b.noise.level == pytest.approx(4 * 0.2 * 0.8 if fields is PARITY else 0.3 * 0.9)
    assert a.noise.level == 0.0


@pytest.mark.parametrize("n", [10, 37, 4000])
def test_labels_belong_to_their_images(n: int):
    digits = load_digits("mnist-5k")
    made = data(n=n, head="digits", stop="epochs")
    rows = stratified(digits.y_train, n, Seeds(0).generator("data"))
    assert torch.equal((made.x_train[:, 0] * 255).round().byte(), digits.x_train[rows])
    assert torch.equal(made.y_train, digits.y_train[rows])


def test_training_sets_are_nested_in_n_noise_included():
    few, many = data(**{**PARITY, "n": 50}), data(**PARITY)
    assert torch.equal(few.x_train, many.x_train[:50])
    assert torch.equal(few.y_train, many.y_train[:50])


@pytest.mark.parametrize(
    "field",
    [
        {"width": 999},
        {"depth": 3},
        {"model": "cnn"},
        {"lr": 0.1},
        {"stop": "epochs"},
        {"adversary": "pgd", "adversary_radius": 0.3},
    ],
)
def test_data_do_not_depend_on_the_model_or_its_training(field: dict):
    assert data(**PARITY, **field).content_hash() == data(**PARITY).content_hash()


def test_data_depend_on_the_seed():
    assert data(seed=1, **PARITY).content_hash() != data(**PARITY).content_hash()


@pytest.mark.parametrize(
    ("fields", "family", "outputs"),
    [
        (PARITY, "mnist-mlp", 1),
        (DIGITS, "mnist-mlp", 10),
        ({**PARITY, "model": "cnn"}, "mnist-cnn", 1),
        ({**DIGITS, "model": "cnn"}, "mnist-cnn", 10),
    ],
)
def test_family_and_outputs(fields: dict, family: str, outputs: int):
    config, task = MnistConfig(**fields), Mnist()
    assert task.family(config) == family
    assert task.model(config)(torch.zeros(3, *task.input_shape(config))).shape == (3, outputs)
    assert task.d_ambient(config) == 784


def test_input_scaling_lives_in_the_model():
    """Pixels stay in [0, 1] in the data, so that distances are measured there; the model sees
    mean 0 and deviation 1."""
    model, made = Mnist().model(MnistConfig(**PARITY)), data(**{**PARITY, "n": 4000})
    scaled = next(model.children())(made.x_train)
    assert abs(float(scaled.mean())) < 0.05 and abs(float(scaled.std()) - 1) < 0.05
