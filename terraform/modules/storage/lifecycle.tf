resource "aws_s3_bucket_lifecycle_configuration" "this" {
  # checkov:skip=CKV_AWS_300: the first rule does, for every object; a rule with tags can't
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    id     = "leftovers"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }

    expiration {
      # The mark that a delete leaves, once no version is behind it.
      expired_object_delete_marker = each.key == "logs" ? null : true
      days                         = each.key == "logs" ? var.log_days : null
    }
  }

  # Whoever puts a new version of the site online tags what it no longer names; the pages of yesterday's visitors still do.
  dynamic "rule" {
    for_each = each.key == "site" ? ["unused-assets"] : []

    content {
      id     = rule.value
      status = "Enabled"

      filter {
        and {
          prefix = "assets/"
          tags   = { unused = "true" }
        }
      }

      expiration {
        days = 30
      }
    }
  }

  # Rules about versions are refused before there are any.
  depends_on = [aws_s3_bucket_versioning.this]
}
