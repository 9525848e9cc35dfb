"""Files of earlier versions of the site stay for 30 days after the last version that named them, then go."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest

from tests.terraform_files import TERRAFORM, blocks_of

SCRIPT = Path(__file__).parents[2] / "deploy" / "prune_assets.py"
spec = importlib.util.spec_from_file_location("prune_assets", SCRIPT)
assert spec is not None and spec.loader is not None
prune_assets = importlib.util.module_from_spec(spec)
spec.loader.exec_module(prune_assets)

IMMUTABLE = "public, max-age=31536000, immutable"


class Site:
    """A bucket and what is put into it: `online` is what a deployment does."""

    def __init__(self, folder: Path) -> None:
        self.s3: Any = boto3.client("s3")
        self.bucket = f"site-{uuid4().hex[:8]}"
        self.folder = folder
        self.s3.create_bucket(Bucket=self.bucket)
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self._put("index.html", "text/html")

    def online(self, *assets: str, after_days: float = 0) -> dict[str, list[str]]:
        build = self.folder / uuid4().hex
        for name in assets:
            (build / "assets").mkdir(parents=True, exist_ok=True)
            (build / "assets" / name).write_text(name)
            if f"assets/{name}" not in self.names():
                self._put(f"assets/{name}", "text/javascript")
        now = datetime.now(UTC) + timedelta(days=after_days)
        done: dict[str, list[str]] = prune_assets.prune(self.s3, self.bucket, build, now)
        return done

    def _put(self, key: str, kind: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=b"x", ContentType=kind, CacheControl=IMMUTABLE)

    def names(self) -> set[str]:
        return {entry["Key"] for entry in self.s3.list_objects_v2(Bucket=self.bucket)["Contents"]}

    def tags(self, key: str) -> list[dict[str, str]]:
        tags: list[dict[str, str]] = self.s3.get_object_tagging(Bucket=self.bucket, Key=key)["TagSet"]
        return tags


@pytest.fixture
def site(s3: str, tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_what_a_new_version_does_not_name_is_marked_and_stays(site: Site) -> None:
    site.online("old.js")
    done = site.online("new.js")
    assert done == {"marked": ["assets/old.js"], "unmarked": [], "deleted": []}
    assert site.names() == {"index.html", "assets/old.js", "assets/new.js"}


def test_it_goes_30_days_after_the_last_version_that_named_it_and_no_sooner(site: Site) -> None:
    site.online("old.js")
    site.online("new.js")
    assert site.online("new.js", after_days=29.9)["deleted"] == []
    assert site.online("new.js", after_days=30.1)["deleted"] == ["assets/old.js"]
    assert site.names() == {"index.html", "assets/new.js"}


def test_a_mark_begins_the_age_anew_and_is_made_once(site: Site) -> None:
    site.online("old.js")
    before = site.s3.head_object(Bucket=site.bucket, Key="assets/old.js")["VersionId"]
    site.online("new.js")
    marked = site.s3.head_object(Bucket=site.bucket, Key="assets/old.js")["VersionId"]
    assert marked != before
    assert site.online("new.js") == {"marked": [], "unmarked": [], "deleted": []}
    assert site.s3.head_object(Bucket=site.bucket, Key="assets/old.js")["VersionId"] == marked


def test_a_marked_file_is_served_as_before(site: Site) -> None:
    site.online("old.js")
    site.online("new.js")
    head = site.s3.head_object(Bucket=site.bucket, Key="assets/old.js")
    assert (head["ContentType"], head["CacheControl"]) == ("text/javascript", IMMUTABLE)


def test_a_file_that_comes_back_is_kept(site: Site) -> None:
    site.online("old.js")
    site.online("new.js")
    assert site.online("old.js")["unmarked"] == ["assets/old.js"]
    assert site.tags("assets/old.js") == []
    assert site.online("old.js", after_days=31)["deleted"] == ["assets/new.js"]


def test_only_assets_are_looked_at(site: Site) -> None:
    site.online("a.js", after_days=1000)
    assert "index.html" in site.names()
    assert site.tags("index.html") == []


def test_a_site_that_was_not_built_is_refused(site: Site) -> None:
    site.online("a.js")
    with pytest.raises(ValueError, match="make site"):
        site.online()
    assert site.tags("assets/a.js") == []


def test_the_buckets_own_rule_looks_for_the_same_mark() -> None:
    rules = [
        rule["content"][0]
        for block in blocks_of(TERRAFORM / "modules" / "storage")
        if block.labels[:1] == ("aws_s3_bucket_lifecycle_configuration",)
        for dynamic in block.body["dynamic"]
        for rule in dynamic.values()
    ]
    wanted = {
        "prefix": f'"{prune_assets.PREFIX}"',
        "tags": {prune_assets.MARK["Key"]: f'"{prune_assets.MARK["Value"]}"'},
    }
    found = [rule for rule in rules if rule["filter"][0]["and"][0].items() >= wanted.items()]
    assert [rule["expiration"][0]["days"] for rule in found] == [prune_assets.DAYS]
