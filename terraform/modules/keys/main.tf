data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  region  = data.aws_region.current.region

  keys = {
    data    = { description = "Lake, artifacts, queues, images, database, cache", policy = data.aws_iam_policy_document.data.json }
    secrets = { description = "Secrets and parameters", policy = data.aws_iam_policy_document.account.json }
    logs    = { description = "Log groups", policy = data.aws_iam_policy_document.logs.json }
  }
}

# In a key's policy "*" is this key. Who may use it, the policies of roles say.
data "aws_iam_policy_document" "account" {
  # checkov:skip=CKV_AWS_109: a key's policy that leaves out the account's administration locks everybody out of the key
  # checkov:skip=CKV_AWS_111: as above
  # checkov:skip=CKV_AWS_356: as above
  statement {
    sid       = "Account"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${local.account}:root"]
    }
  }
}

data "aws_iam_policy_document" "data" {
  # checkov:skip=CKV_AWS_109: as above
  # checkov:skip=CKV_AWS_111: as above
  # checkov:skip=CKV_AWS_356: as above
  source_policy_documents = [data.aws_iam_policy_document.account.json]

  # Senders to an encrypted topic. Not every one of them tells KMS for which account it works, and an alarm that can't be
  # sent is noticed by nobody; the topic's own policy says whose messages it takes.
  statement {
    sid       = "Notifications"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["budgets.amazonaws.com", "cloudwatch.amazonaws.com", "events.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "logs" {
  # checkov:skip=CKV_AWS_109: as above
  # checkov:skip=CKV_AWS_111: as above
  # checkov:skip=CKV_AWS_356: as above
  source_policy_documents = [data.aws_iam_policy_document.account.json]

  statement {
    sid       = "CloudWatchLogs"
    actions   = ["kms:Decrypt*", "kms:DescribeKey", "kms:Encrypt*", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${local.region}.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:${data.aws_partition.current.partition}:logs:${local.region}:${local.account}:log-group:*"]
    }
  }
}

resource "aws_kms_key" "this" {
  for_each = local.keys

  description             = "${var.name}: ${each.value.description}"
  policy                  = each.value.policy
  enable_key_rotation     = true
  deletion_window_in_days = var.deletion_days

  tags = merge(var.tags, { Name = "${var.name}-${each.key}" })
}

resource "aws_kms_alias" "this" {
  for_each = local.keys

  name          = "alias/${var.name}-${each.key}"
  target_key_id = aws_kms_key.this[each.key].key_id
}
