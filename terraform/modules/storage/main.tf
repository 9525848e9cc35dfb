data "aws_caller_identity" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  buckets = toset(["lake", "artifacts", "site", "logs"])
  # CloudFront and the writers of access logs can't use a key of ours without being let into its policy; the site is public,
  # and load balancers write to no bucket with another key than S3's.
  with_own_key = toset(["lake", "artifacts"])
  logged       = toset(["lake", "artifacts", "site"])
}

# Names of buckets are taken world-wide: the account's number makes them ours.
resource "aws_s3_bucket" "this" {
  # checkov:skip=CKV_AWS_18: all but the bucket of the logs itself are logged, below
  # checkov:skip=CKV_AWS_144: one region is enough; the lake's loss is covered by versions and by AWS Backup where wanted
  # checkov:skip=CKV_AWS_145: the site and the logs are encrypted by S3's key, see `with_own_key`
  # checkov:skip=CKV2_AWS_62: nothing waits for events of objects
  for_each = local.buckets

  bucket        = "${var.name}-${each.key}-${local.account}"
  force_destroy = var.force_destroy

  tags = merge(var.tags, { Name = "${var.name}-${each.key}" })
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.buckets

  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    # One call of KMS for many objects: the lake is many small files.
    bucket_key_enabled = contains(local.with_own_key, each.key)

    apply_server_side_encryption_by_default {
      sse_algorithm     = contains(local.with_own_key, each.key) ? "aws:kms" : "AES256"
      kms_master_key_id = contains(local.with_own_key, each.key) ? var.data_key_arn : null
    }
  }
}

resource "aws_s3_bucket_logging" "this" {
  for_each = local.logged

  bucket        = aws_s3_bucket.this[each.key].id
  target_bucket = aws_s3_bucket.this["logs"].id
  target_prefix = "s3/${each.key}/"
}
