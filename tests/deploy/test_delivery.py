"""Delivery without AWS: what the script and the workflows name exists, and a deployment that is not well is taken back.

The script runs for real; `aws`, `terraform` and `docker` are stand-ins that note what they were asked.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.terraform_files import TERRAFORM, blocks_of, named

ROOT = Path(__file__).parents[2]
SCRIPT = (ROOT / "deploy" / "deploy.sh").read_text(encoding="utf-8")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
every_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)

OLD = {image: f"1.dkr.ecr/{image}@sha256:{'0' * 64}" for image in ("service", "worker", "mlflow")}
NEW = {image: f"1.dkr.ecr/{image}@sha256:{'1' * 64}" for image in ("service", "worker", "mlflow")}

TERRAFORM_STUB = """\
#!/usr/bin/env bash
for word in "$@"; do
  case $word in
    output) cat "$STATE/outputs.json"; exit ;;
    -var-file=*) cp "${word#-var-file=}" "$STATE/planned.json" ;;
    apply) cat "$STATE/planned.json" >>"$STATE/applied"; cp "$STATE/planned.json" "$STATE/now.json" ;;
  esac
done
"""
AWS_STUB = """\
#!/usr/bin/env bash
echo "$@" >>"$STATE/asked"
case "$1 $2" in
  "ssm get-parameter") cat "$STATE/deployed" 2>/dev/null || exit 254 ;;
  "ssm put-parameter") echo "$@" | sed 's/.*--value //; s/ --overwrite//' >"$STATE/deployed" ;;
  "ecs describe-task-definition") echo "definition:new" ;;
  "ecs describe-services")
    if [[ -n $BROKEN ]] && grep -q "$BROKEN" "$STATE/now.json"; then
      echo "definition:old COMPLETED"
    else
      echo "definition:new COMPLETED"
    fi ;;
  "ecs run-task") echo "task" ;;
esac
"""


@every_workflow
def test_a_workflow_is_read_by_github(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    assert "<<:" not in text  # GitHub knows no merge keys
    jobs: dict[str, Any] = yaml.safe_load(text)["jobs"]
    for job in jobs.values():
        called = job.get("uses", "")
        assert "runs-on" in job or (ROOT / called).is_file()
        assert set([job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])) <= jobs.keys()


@every_workflow
def test_a_token_for_aws_is_only_given_to_jobs_that_use_it(workflow: Path) -> None:
    read: dict[str, Any] = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    assert read["permissions"] == {"contents": "read"}
    assert not re.search(r"secrets\.\w*(KEY|AWS)", workflow.read_text(encoding="utf-8"))
    for job in read["jobs"].values():
        asks = any("configure-aws-credentials" in step.get("uses", "") for step in job.get("steps", []))
        asks = asks or job.get("uses", "").endswith("deploy.yml")
        assert (job.get("permissions", {}).get("id-token") == "write") == asks


def test_steps_that_are_called_are_steps_of_the_script() -> None:
    texts = [file.read_text(encoding="utf-8") for file in [*WORKFLOWS, ROOT / "Makefile"]]
    called = {step for text in texts for step in re.findall(r"deploy/deploy\.sh (?:\$\{\{.*?\}\}|\S+) (\w+)", text)}
    steps = set(re.findall(r"^  (\w+)\)", SCRIPT, re.MULTILINE))
    assert called == {"build", "push", "plan", "apply", "site"}
    assert called <= steps


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_outputs_that_the_script_reads_are_outputs_of_the_environment(environment: str) -> None:
    read = set(re.findall(r"\$\(output (\w+)", SCRIPT))
    assert len(read) >= 6
    assert read <= named(blocks_of(TERRAFORM / "environments" / environment), "output").keys()


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A checkout with stand-ins; its folder `state` is what AWS and Terraform know."""
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    for folder in ("deploy", "bin", "state", "build", "terraform/environments/dev"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "deploy.sh", tmp_path / "deploy")
    (tmp_path / "terraform/environments/dev/backend.hcl").write_text("")
    outputs = {"cluster_name": {"value": "cluster"}, "task_families": {"value": {"create-databases": "family"}}}
    (tmp_path / "state/outputs.json").write_text(json.dumps(outputs))
    for name, text in (("terraform", TERRAFORM_STUB), ("aws", AWS_STUB)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def apply(machine: Path, *, before: dict[str, str] | None, broken: str = "") -> subprocess.CompletedProcess[str]:
    (machine / "build/images-dev.tfvars.json").write_text(json.dumps({"images": NEW}) + "\n")
    if before is not None:
        (machine / "state/deployed").write_text(json.dumps(before))
    environment = {"PATH": f"{machine / 'bin'}:{os.environ['PATH']}", "STATE": str(machine / "state")}
    return subprocess.run(
        ["bash", machine / "deploy/deploy.sh", "dev", "apply"],
        env=environment | {"YES": "1", "BROKEN": broken},
        capture_output=True,
        text=True,
        timeout=60,
    )


def applied(machine: Path) -> list[dict[str, str]]:
    return [json.loads(line)["images"] for line in (machine / "state/applied").read_text().splitlines()]


def deployed(machine: Path) -> dict[str, str]:
    images: dict[str, str] = json.loads((machine / "state/deployed").read_text())
    return images


def test_images_that_become_well_are_what_is_deployed(machine: Path) -> None:
    done = apply(machine, before=OLD)
    assert done.returncode == 0, done.stderr
    assert applied(machine)[-1] == NEW
    assert deployed(machine) == NEW


def test_images_that_do_not_become_well_are_taken_back(machine: Path) -> None:
    done = apply(machine, before=OLD, broken="1" * 64)
    assert done.returncode == 2
    assert "are not well: photo-recommender-dev runs those before" in done.stderr
    assert applied(machine)[-2:] == [NEW, OLD]
    assert deployed(machine) == OLD


def test_a_first_deployment_makes_the_databases_and_has_nothing_to_go_back_to(machine: Path) -> None:
    done = apply(machine, before=None, broken="1" * 64)
    assert done.returncode == 2
    assert "nothing to go back to" in done.stderr
    assert applied(machine) == [NEW]
    assert "--task-definition family" in (machine / "state/asked").read_text()
