"""What ``ray up`` and ``kubectl`` would read: against Ray's own schema, AWS's as moto has it, and this repository."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray._private.runtime_env.packaging import _zip_files
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "conf/cluster"
LAUNCHED = ("aws", "gcp", "local")
PINNED = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))


def document(name: str) -> Any:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


def filled_in(name: str) -> Any:
    conf = document(name)
    if name == "local":
        conf["provider"] |= {"head_ip": "192.168.1.11", "worker_ips": ["192.168.1.12", "192.168.1.13"]}
        conf["auth"] |= {"ssh_user": "me", "ssh_private_key": "~/.ssh/id_ed25519"}
    return conf


def prepared(conf: Any) -> Any:
    """As Ray takes it, with its defaults."""
    ready = prepare_config(conf)
    validate_config(ready)
    return ready


@pytest.mark.parametrize("name", LAUNCHED)
def test_ray_takes_it(name):
    assert prepared(filled_in(name))["cluster_name"] == "rungs"


def test_all_of_ones_own_machines_stay_in_the_cluster():
    kinds = prepared(filled_in("local"))["available_node_types"]
    assert [(kind["min_workers"], kind["max_workers"]) for kind in kinds.values()] == [(2, 2)]


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_workers_come_and_go_and_leave_no_disks(name):
    conf = prepared(document(name))
    head, gpu = conf["available_node_types"]["head"], conf["available_node_types"]["gpu"]
    assert (head["max_workers"], gpu["min_workers"], gpu["max_workers"]) == (0, 0, 4)
    assert conf["idle_timeout_minutes"] == 5
    assert conf["provider"]["cache_stopped_nodes"] is False


@pytest.mark.parametrize(
    ("section", "field"), [("provider", "head_ip"), ("auth", "ssh_user"), ("auth", "ssh_private_key")]
)
def test_what_is_not_filled_in_is_named(section, field):
    conf = filled_in("local")
    conf[section][field] = document("local")[section][field]
    with pytest.raises(jsonschema.ValidationError) as error:
        prepared(conf)
    assert list(error.value.absolute_path) == [section, field]


def test_a_project_that_is_not_filled_in_is_asked_for():
    pytest.importorskip("googleapiclient")
    from ray.autoscaler._private.gcp.config import _configure_project

    with pytest.raises(AssertionError, match="'project_id' must be set"):
        _configure_project(document("gcp"), None)


def check(value: Any, schema: Any, schemas: Any) -> None:
    """By a schema of Google's API discovery: it has every key, and every value of an enumeration."""
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    if isinstance(value, dict):
        assert value.keys() <= schema["properties"].keys()
        for key, one in value.items():
            check(one, schema["properties"][key], schemas)
    elif isinstance(value, list):
        assert schema["type"] == "array"
        for one in value:
            check(one, schema["items"], schemas)
    else:
        assert value in schema.get("enum", [value])


@pytest.mark.parametrize("kind", ["head", "gpu"])
def test_google_knows_what_its_nodes_are_given(kind):
    googleapiclient = pytest.importorskip("googleapiclient")
    discovery = Path(googleapiclient.__file__).parent / "discovery_cache/documents/compute.v1.json"
    schemas = json.loads(discovery.read_text())["schemas"]
    check(document("gcp")["available_node_types"][kind]["node_config"], schemas["Instance"], schemas)


def test_nodes_are_set_up_alike():
    confs = [document(name) for name in LAUNCHED]
    assert len({json.dumps(conf["file_mounts"], sort_keys=True) for conf in confs}) == 1
    assert len({tuple(conf["setup_commands"][-2:]) for conf in confs}) == 1
    mounts = confs[0]["file_mounts"]
    assert mounts.pop("~/.ray/auth_token") == "~/.ray/auth_token"
    assert all(there == f"~/rungs/{here}" and (ROOT / here).is_file() for there, here in mounts.items())
    assert "make -C ~/rungs cluster" in confs[0]["setup_commands"]
    assert re.search(r"^cluster:", (ROOT / mounts["~/rungs/Makefile"]).read_text(), re.MULTILINE)


@pytest.fixture
def aws(monkeypatch, tmp_path):
    """A mocked AWS with what the README has made there."""
    moto = pytest.importorskip("moto")
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # for the key that Ray makes
    with moto.mock_aws():
        iam = boto3.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        trusted = json.dumps({"Version": "2012-10-17", "Statement": trust})
        iam.create_role(RoleName="rungs", AssumeRolePolicyDocument=trusted)
        policy = (FOLDER / "aws-role.json").read_text()
        iam.put_role_policy(RoleName="rungs", PolicyName="rungs", PolicyDocument=policy)
        iam.create_instance_profile(InstanceProfileName="rungs")
        iam.add_role_to_instance_profile(InstanceProfileName="rungs", RoleName="rungs")
        yield boto3.client("ec2", region_name=document("aws")["provider"]["region"])


@pytest.mark.slow
def test_aws_launches_its_nodes(aws):
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    conf = AWSNodeProvider.fillout_available_node_types_resources(prepare_config(document("aws")))
    validate_config(conf)
    conf = AWSNodeProvider.bootstrap_config(conf)
    kinds = conf["available_node_types"]
    assert {name: kind["resources"].get("GPU") for name, kind in kinds.items()} == {"head": None, "gpu": 1}
    provider = AWSNodeProvider(conf["provider"], conf["cluster_name"])
    for kind in kinds.values():
        provider.create_node(kind["node_config"], {"ray-node-type": "worker", "ray-node-name": "any"}, 1)
    instances = [one["Instances"][0] for one in aws.describe_instances()["Reservations"]]
    assert [instance.get("InstanceLifecycle") for instance in instances] == [None, "spot"]
    assert {instance["IamInstanceProfile"]["Arn"].split("/")[-1] for instance in instances} == {"rungs"}


def test_kubernetes_gets_a_head_and_workers_that_come_and_go():
    cluster = document("kuberay")
    spec = cluster["spec"]
    [group] = spec["workerGroupSpecs"]
    [head] = spec["headGroupSpec"]["template"]["spec"]["containers"]
    [worker] = group["template"]["spec"]["containers"]
    assert (cluster["apiVersion"], cluster["kind"]) == ("ray.io/v1", "RayCluster")
    assert spec["rayVersion"] == PINNED["ray"]
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["enableInTreeAutoscaling"] is True
    assert spec["autoscalerOptions"]["idleTimeoutSeconds"] == 300
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (0, 0, 4)
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in head["resources"]["limits"]
    # No name of an image may have capital letters: a pod that was left so says InvalidImageName.
    assert head["image"] == worker["image"] == "IMAGE"


def test_the_image_has_the_pinned_ray_and_packages():
    lines = (FOLDER / "Dockerfile").read_text().splitlines()
    assert f"FROM rayproject/ray:{PINNED['ray']}-py312-gpu" in lines
    [copied] = [line.split()[1:-1] for line in lines if line.startswith("COPY")]
    assert all((ROOT / name).is_file() for name in copied)


def test_a_job_takes_the_code_along_without_data_runs_and_environments(tmp_path):
    folder = tmp_path / "repository"
    for path in (
        "search/run.py",
        "data/train.mat",
        "runs/one/events.jsonl",
        ".venv/bin/python",
        "standin/a",
        ".mypy_cache/b",
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    (folder / ".gitignore").write_text((ROOT / ".gitignore").read_text())
    _zip_files(str(folder), [], str(tmp_path / "package.zip"), include_gitignore=True)
    with zipfile.ZipFile(tmp_path / "package.zip") as package:
        assert sorted(package.namelist()) == [".gitignore", "search/run.py"]
