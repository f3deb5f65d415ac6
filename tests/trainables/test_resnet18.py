"""ResNet-18: from weights or from scratch, as much of it trained as asked for."""

import hashlib

import numpy as np
import pytest
import torch
from small_trainings import run_to, tiny, weights_equal
from torchvision.models import resnet18

from datasets.errors import UserError
from datasets.files import Source
from trainables import pretrained
from trainables.models import build, parameter_count
from trainables.models import resnet18 as module
from trainables.training import Training, ensemble

torch.set_num_threads(1)
STAGES = ["head", "layer4", "layer3", "layer2", "layer1", "conv1 bn1"]


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    return resnet18(weights=None).state_dict()


@pytest.fixture(scope="module")
def weights(published):
    return {"resnet18 imagenet": {name: value.numpy() for name, value in published.items()}}


def test_its_body_is_torchvisions_with_the_weights(published, weights):
    model = build("resnet18", (3, 32, 32), 4, {}, weights)
    reference = resnet18(weights=None)
    reference.load_state_dict(published)
    reference.fc = torch.nn.Identity()
    pictures = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        expected = model.net.head(reference.eval()(pictures))
        torch.testing.assert_close(model.eval()(pictures), expected)
    grey = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(model(grey), model(grey.expand(-1, 3, -1, -1)))


def test_without_weights_given_it_is_still_built_as_for_a_checkpoint():
    assert build("resnet18", (3, 16, 16), 4, {"stages": 2})(torch.zeros(2, 3, 16, 16)).shape == (2, 4)
    assert parameter_count("resnet18", (3, 16, 16), 4, {"weights": "none"}) == 11_178_564


@pytest.mark.parametrize("stages", range(6))
def test_so_many_stages_are_trained_and_the_others_stay_as_they_were(stages, weights):
    config = {"model": "resnet18", "stages": stages, "lr": 0.1, "optimizer": "sgd", "batch_size": 20}
    training = Training(tiny(), config, epochs=1, patience=9, weights=weights)
    (learner,) = training.learners
    before = {name: value.clone() for name, value in learner.model.net.state_dict().items()}
    run_to(1, training)
    changed = {
        name.split(".")[0 if name.startswith("head") else 1]
        for name, value in learner.model.net.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == set(" ".join(STAGES[: stages + 1]).split())


def test_from_scratch_all_of_it_is_trained():
    net = build("resnet18", (3, 16, 16), 4, {"weights": "none", "stages": 0}).net
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert all(module.training for module in net.train().modules())


def test_the_body_learns_at_its_share_of_the_rate(weights):
    config = {"model": "resnet18", "body_lr": 0.25, "lr": 0.01, "optimizer": "sgd", "momentum": 0.0, "batch_size": 40}
    training = Training(tiny(), config, epochs=1, patience=9, weights=weights)
    (learner,) = training.learners
    before = {name: value.clone() for name, value in learner.model.net.named_parameters()}
    run_to(1, training)
    for name, share in (("head.1.weight", 1.0), ("body.conv1.weight", 0.25)):
        parameter = learner.model.net.get_parameter(name)
        assert parameter.grad.abs().max() > 0
        torch.testing.assert_close(before[name] - parameter.data, 0.01 * share * parameter.grad, rtol=1e-3, atol=1e-7)


def test_a_checkpoint_goes_on_and_is_tested_without_the_published_weights(tmp_path, weights):
    config = {"model": "resnet18", "stages": 1, "body_lr": 0.3, "average": 0.5, "batch_size": 20}
    whole, first = (Training(tiny(), config, epochs=2, patience=9, weights=weights) for _ in range(2))
    epochs = list(whole)
    run_to(1, first)
    first.save(tmp_path)
    second = Training(tiny(), config, epochs=2, patience=9, weights=weights)
    second.restore(tmp_path)
    assert [epoch.val_loss for epoch in second] == [epochs[1].val_loss]
    assert weights_equal(second.learners[0].best_weights, whole.learners[0].best_weights)
    member = ensemble(whole.checkpoint()).members[0]
    assert weights_equal(member.state_dict(), whole.learners[0].best_weights)


def test_pictures_of_two_channels_are_refused():
    with pytest.raises(ValueError, match="pictures of 2 channels: resnet18 takes 1 or 3"):
        build("resnet18", (2, 16, 16), 4, {})


@pytest.mark.parametrize(
    ("model", "settings", "name"),
    [
        ("resnet18", {}, "resnet18 imagenet"),
        ("resnet18", {"weights": "imagenet", "stages": 1}, "resnet18 imagenet"),
        ("resnet18", {"weights": "none"}, None),
        ("cnn", {}, None),
        ("somebodys.nets:ResNet", {"weights": "imagenet"}, None),
    ],
)
def test_which_weights_a_model_begins_from(model, settings, name):
    assert pretrained.named(model, settings) == name


class TestFiles:
    """Where the weights are looked for, and what is refused."""

    @pytest.fixture(autouse=True)
    def file(self, tmp_path, published, monkeypatch):
        torch.save(published, tmp_path / "whole.pth")
        self.content = (tmp_path / "whole.pth").read_bytes()
        self.root = tmp_path / "data"
        checksum = hashlib.sha256(self.content).hexdigest()[:8]
        source = Source("weights.pth", checksum, ("http://127.0.0.1:9/weights.pth",), "sha256")
        monkeypatch.setitem(module.PRETRAINED, "imagenet", source)
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    def put(self, path, content=None):
        path.parent.mkdir(parents=True)
        path.write_bytes(content or self.content)

    @pytest.mark.parametrize("place", ["data/resnet18", "torch/hub/checkpoints"])
    def test_they_are_read_from_the_data_root_or_torchvisions_cache(self, tmp_path, published, place):
        self.put(tmp_path / place / "weights.pth")
        state = pretrained.load("resnet18 imagenet", self.root)
        assert state.keys() == published.keys()
        assert all(np.array_equal(state[name], published[name].numpy()) for name in state)

    def test_another_file_is_refused(self):
        self.put(self.root / "resnet18/weights.pth", self.content[:-1])
        with pytest.raises(
            UserError, match=r"^model resnet18: .*weights\.pth is not the published file: its sha256 begins"
        ):
            pretrained.load("resnet18 imagenet", self.root)

    def test_nowhere_is_one_line_that_says_where_to_put_them(self):
        with pytest.raises(UserError) as error:
            pretrained.load("resnet18 imagenet", self.root)
        assert str(error.value) == (
            f"model resnet18: weights.pth is not below {self.root} and could not be downloaded "
            f"(http://127.0.0.1:9/weights.pth: Connection refused); put it at {self.root}/resnet18/weights.pth, from "
            "http://127.0.0.1:9/weights.pth"
        )
