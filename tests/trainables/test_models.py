import numpy as np
import pytest
import torch
from torchvision import models as vision
from torchvision.transforms.v2.functional import normalize

from trainables.models import Classifier, build

# The hand-tuned references: what of them a model must express, the layers that come of it, and their parameters.
REFERENCES = {
    "digits mlp": (
        ("mlp", (1, 8, 8), {"widths": [128, 64, 64, 32]}),
        "Flatten Linear ReLU Linear ReLU Linear ReLU Linear ReLU Linear",
        23_146,
    ),
    "digits cnn": (
        ("cnn", (1, 8, 8), {"channels": [16, 64], "conv_activation": "none", "widths": [128]}),
        "Conv2d MaxPool2d Conv2d MaxPool2d Flatten Linear ReLU Linear",
        43_626,
    ),
    "svhn cnn": (
        ("cnn", (3, 32, 32), {"channels": [16, 32, 64], "widths": [256, 64]}),
        "Conv2d ReLU MaxPool2d Conv2d ReLU MaxPool2d Conv2d ReLU MaxPool2d Flatten Linear ReLU Linear ReLU Linear",
        303_082,
    ),
    "mnist mlp": (("mlp", (1, 28, 28), {"widths": [128]}), "Flatten Linear ReLU Linear", 101_770),
    "mnist cnn": (
        (
            "cnn",
            (1, 28, 28),
            {"channels": [10, 20], "kernel": 5, "padding": "valid", "channel_dropout": [0.0, 0.5], "widths": []},
        ),
        "Conv2d ReLU MaxPool2d Conv2d ReLU Dropout2d MaxPool2d Flatten Linear",
        8_490,
    ),
    "wildlife cnn": (
        ("cnn", (3, 128, 128), {"channels": [32, 64, 128], "pool": [4, 2, 2], "widths": []}),
        "Conv2d ReLU MaxPool2d Conv2d ReLU MaxPool2d Conv2d ReLU MaxPool2d Flatten Linear",
        175_178,
    ),
}


def layers(model: Classifier) -> list[str]:
    return [type(layer).__name__ for layer in model.net]


def widths_of_linear_layers(model: Classifier) -> list[int]:
    linear = [layer for layer in model.net if isinstance(layer, torch.nn.Linear)]
    return [linear[0].in_features, *(layer.out_features for layer in linear)]


@pytest.mark.parametrize(("arguments", "sequence", "parameters"), REFERENCES.values(), ids=REFERENCES)
def test_reference_has_its_layers_and_parameters(arguments, sequence, parameters):
    family, shape, keywords = arguments
    model = build(family, shape, 10, keywords)
    assert layers(model) == sequence.split()
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert model(torch.zeros(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize(
    ("reference", "widths"),
    [
        ("digits mlp", [64, 128, 64, 64, 32, 10]),
        ("digits cnn", [256, 128, 10]),
        ("svhn cnn", [1024, 256, 64, 10]),
        ("mnist mlp", [784, 128, 10]),
        ("mnist cnn", [320, 10]),
        ("wildlife cnn", [8192, 10]),
    ],
)
def test_reference_has_its_linear_widths(reference, widths):
    family, shape, keywords = REFERENCES[reference][0]
    assert widths_of_linear_layers(build(family, shape, 10, keywords)) == widths


def test_convolutions_are_3x3_with_padding_and_pools_as_given():
    model = build("cnn", (3, 128, 128), 10, {"channels": [32, 64, 128], "pool": [4, 2, 2], "widths": []})
    convolutions = [layer for layer in model.net if isinstance(layer, torch.nn.Conv2d)]
    assert {(layer.kernel_size, layer.padding) for layer in convolutions} == {((3, 3), "same")}
    assert [layer.kernel_size for layer in model.net if isinstance(layer, torch.nn.MaxPool2d)] == [4, 2, 2]


def test_points_go_through_the_mlp():
    model = build("mlp", (2,), 5, {"widths": [256, 64]})
    assert widths_of_linear_layers(model) == [2, 256, 64, 5]
    assert model(torch.zeros(7, 2)).shape == (7, 5)


@pytest.mark.parametrize(
    ("family", "keywords", "sequence"),
    [
        ("mlp", {"widths": [4], "dropout": 0.5}, "Flatten Linear ReLU Dropout Linear"),
        ("mlp", {"widths": [4], "batch_norm": True}, "Flatten Linear BatchNorm1d ReLU Linear"),
        ("mlp", {"widths": []}, "Flatten Linear"),
        ("cnn", {"channels": [4], "pool": 1, "widths": []}, "Conv2d ReLU Flatten Linear"),
        (
            "cnn",
            {"channels": [4, 5], "convolutions": [2, 1], "widths": [], "conv_activation": "none"},
            "Conv2d Conv2d MaxPool2d Conv2d MaxPool2d Flatten Linear",
        ),
        (
            "cnn",
            {"channels": [4], "batch_norm": True, "dropout": 0.1, "channel_dropout": 0.2, "widths": [6]},
            "Conv2d BatchNorm2d ReLU Dropout2d MaxPool2d Flatten Linear BatchNorm1d ReLU Dropout Linear",
        ),
    ],
)
def test_layers_follow_the_keywords(family, keywords, sequence):
    assert layers(build(family, (1, 8, 8), 3, keywords)) == sequence.split()


def test_convolutions_before_batch_normalisation_need_no_bias():
    assert build("cnn", (1, 8, 8), 3, {"batch_norm": True}).net[0].bias is None
    assert build("cnn", (1, 8, 8), 3, {"batch_norm": False}).net[0].bias is not None


@pytest.mark.parametrize(
    ("name", "layer"), [("relu", "ReLU"), ("gelu", "GELU"), ("silu", "SiLU"), ("tanh", "Tanh"), ("none", None)]
)
def test_activation_by_name(name, layer):
    expected = ["Flatten", "Linear", *([layer] if layer else []), "Linear"]
    assert layers(build("mlp", (2,), 2, {"widths": [3], "activation": name})) == expected
    cnn = layers(build("cnn", (1, 8, 8), 2, {"channels": [3], "widths": [3], "conv_activation": name}))
    assert cnn[:2] == ["Conv2d", layer or "MaxPool2d"]


@pytest.mark.parametrize("keyword", ["kernel", "pool", "convolutions", "channel_dropout"])
def test_sequence_of_another_length_than_the_blocks_is_refused(keyword):
    with pytest.raises(ValueError, match=f"^{keyword} has 3 values for 2 blocks$"):
        build("cnn", (1, 8, 8), 10, {"channels": [4, 4], keyword: [1, 1, 1]})


@pytest.mark.parametrize(
    ("shape", "keywords"),
    [
        ((1, 8, 8), {"channels": [2] * 4}),
        ((1, 8, 2), {"channels": [2, 2]}),
        ((1, 4, 4), {"channels": [2], "kernel": 5, "padding": "valid", "pool": 1}),
        ((1, 8, 8), {"channels": [2], "convolutions": 4, "padding": "valid", "pool": 1}),
    ],
)
def test_picture_too_small_for_its_blocks_is_refused(shape, keywords):
    with pytest.raises(ValueError, match=rf"too small for {len(keywords['channels'])} blocks"):
        build("cnn", shape, 10, keywords)


def test_smallest_picture_fits():
    assert build("cnn", (1, 8, 8), 10, {"channels": [2] * 3})(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


def test_initial_weights_follow_the_global_seed():
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([value.flatten() for value in build("cnn", (1, 8, 8), 10, {}).state_dict().values()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_uint8_and_scaled_float_pictures_give_the_same_logits():
    pictures = torch.arange(2 * 64, dtype=torch.uint8).view(2, 1, 8, 8) * 2
    model = build("mlp", (1, 8, 8), 3, {})
    assert torch.equal(model(pictures), model(pictures.float() / 255))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_normalisation_gives_each_channel_mean_0_and_deviation_1(dtype):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 255, (50, 2, 4, 4)) * np.array([1.0, 0.3]).reshape(1, 2, 1, 1)
    inputs = torch.from_numpy((values if dtype == np.uint8 else values / 255).astype(dtype))
    seen = []
    model = Classifier(torch.nn.Flatten(), (2, 4, 4))
    model.net.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    model.fit_normalisation("standard", inputs.split(7))
    model(inputs)
    assert seen[0].mean((0, 2, 3)).numpy() == pytest.approx([0, 0], abs=1e-5)
    assert seen[0].std((0, 2, 3)).numpy() == pytest.approx([1, 1], abs=1e-4)


@pytest.mark.parametrize("size", [1, 3, 50])
def test_normalisation_is_that_of_all_pieces_together_though_the_mean_is_large(size):
    points = torch.from_numpy(np.random.default_rng(0).normal([1e5, -3.0], [0.5, 2.0], (50, 2)).astype(np.float32))
    model = Classifier(torch.nn.Flatten(), (2,))
    model.fit_normalisation("standard", points.split(size))
    assert model.mean[0].numpy() == pytest.approx(points.double().mean(0).numpy(), rel=1e-6)
    assert model.std[0].numpy() == pytest.approx(points.double().std(0).numpy(), rel=1e-6)


def test_normalisation_travels_with_the_weights():
    first, second = (Classifier(torch.nn.Flatten(), (2,)) for _ in range(2))
    points = torch.tensor([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
    assert torch.equal(first(points), points)
    first.fit_normalisation("standard", [points])
    second.load_state_dict(first.state_dict())
    assert torch.equal(second(points)[:, 0], torch.tensor([-1.0, 0.0, 1.0]))
    assert torch.equal(second(points)[:, 1], torch.zeros(3))


def test_normalisation_none_is_none():
    model = Classifier(torch.nn.Flatten(), (2,))
    model.fit_normalisation("none", [torch.tensor([[0.0, 5.0], [2.0, 5.0]])])
    assert (model.mean.tolist(), model.std.tolist()) == ([[0, 0]], [[1, 1]])


@pytest.mark.parametrize("weights", [vision.ResNet18_Weights, vision.MobileNet_V3_Small_Weights])
@pytest.mark.parametrize("channels", [1, 3])
def test_imagenets_normalisation_is_that_of_torchvisions_weights(weights, channels):
    model = Classifier(torch.nn.Identity(), (channels, 4, 4))
    pictures = torch.arange(2 * channels * 16, dtype=torch.uint8).view(2, channels, 4, 4)
    model.fit_normalisation("imagenet", [pictures])
    published = weights.DEFAULT.transforms()
    for buffer, figures in ((model.mean, published.mean), (model.std, published.std)):
        assert buffer.flatten().numpy() == pytest.approx(figures if channels == 3 else [np.mean(figures)])
    if channels == 3:
        expected = normalize(pictures / 255, published.mean, published.std)
        torch.testing.assert_close(model(pictures), expected)


@pytest.mark.parametrize(
    ("shape", "found"),
    [((2,), "2 features"), ((3,), "3 features"), ((2, 8, 8), "2 channels"), ((4, 8, 8), "4 channels")],
)
def test_imagenets_normalisation_of_what_is_no_such_picture_is_refused(shape, found):
    model = Classifier(torch.nn.Flatten(), shape)
    with pytest.raises(ValueError, match=f"^normalise imagenet is for pictures with 1 or 3 channels, not for {found}$"):
        model.fit_normalisation("imagenet", [torch.zeros(5, *shape)])
