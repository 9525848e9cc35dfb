"""Removes from the site's bucket what no version of the site has named for 30 days.

A page that somebody left open goes on to ask for the files it was built with, so what a new version no longer names is
only marked, and goes when its mark is 30 days old. A rule of the bucket does the same while nobody deploys.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

PREFIX = "assets/"
MARK = {"Key": "unused", "Value": "true"}
"""The tag that the bucket's rule looks for (terraform/modules/storage/lifecycle.tf)."""

DAYS = 30


def prune(s3: Any, bucket: str, site: Path, now: datetime) -> dict[str, list[str]]:
    """Mark, unmark and delete; returns the keys by what was done to them: "marked", "unmarked", "deleted".

    s3 is boto3's client, `site` the folder that is online now. Raises ValueError when it holds no assets: everything
    would be marked.
    """
    assets = site / PREFIX
    named = {PREFIX + file.relative_to(assets).as_posix() for file in assets.rglob("*") if file.is_file()}
    if not named:
        raise ValueError(f"{assets} is empty: build the site first (make site)")
    done: dict[str, list[str]] = {"marked": [], "unmarked": [], "deleted": []}
    for key, since in _objects(s3, bucket):
        tags = s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        if key in named:
            if MARK in tags:
                s3.delete_object_tagging(Bucket=bucket, Key=key)
                done["unmarked"].append(key)
        elif MARK not in tags:
            _mark(s3, bucket, key)
            done["marked"].append(key)
        elif now - since >= timedelta(days=DAYS):
            s3.delete_object(Bucket=bucket, Key=key)
            done["deleted"].append(key)
    return done


def _objects(s3: Any, bucket: str) -> Iterator[tuple[str, datetime]]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX):
        for entry in page.get("Contents", []):
            yield entry["Key"], entry["LastModified"]


def _mark(s3: Any, bucket: str, key: str) -> None:
    """Copy the file onto itself with the tag: its age, which the 30 days are counted by, begins anew.

    S3 copies nothing onto itself unchanged, tags aside: the headers are given again.
    """
    head = s3.head_object(Bucket=bucket, Key=key)
    s3.copy_object(
        Bucket=bucket,
        Key=key,
        CopySource={"Bucket": bucket, "Key": key},
        MetadataDirective="REPLACE",
        Metadata=head["Metadata"],
        **{name: head[name] for name in ("ContentType", "CacheControl", "ContentEncoding") if name in head},
        TaggingDirective="REPLACE",
        Tagging=f"{MARK['Key']}={MARK['Value']}",
    )


def main() -> None:
    """`prune_assets.py BUCKET FOLDER`, the folder being what was just put online."""
    parser = argparse.ArgumentParser(description="Mark and delete assets that the site no longer names.")
    parser.add_argument("bucket")
    parser.add_argument("site", type=Path)
    asked = parser.parse_args()
    try:
        done = prune(boto3.client("s3"), asked.bucket, asked.site, datetime.now(UTC))
    except ValueError as error:
        parser.error(str(error))
    print("assets: " + ", ".join(f"{len(keys)} {what}" for what, keys in done.items()))  # noqa: T201


if __name__ == "__main__":
    main()
