# Spark for trainings that one machine is too small for: an application of EMR Serverless that costs nothing while no job
# runs, and the role of its jobs. Off until `enabled`; docs/operator.md says when it is needed and how a job is submitted.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  region  = data.aws_region.current.region
}

resource "aws_emrserverless_application" "this" {
  count = var.enabled ? 1 : 0

  name          = var.name
  type          = "spark"
  release_label = var.release_label
  architecture  = var.architecture
  tags          = var.tags
  depends_on    = [aws_ecr_repository_policy.pull]

  image_configuration {
    image_uri = var.image_uri
  }

  auto_start_configuration {
    enabled = true
  }

  auto_stop_configuration {
    enabled              = true
    idle_timeout_minutes = 15
  }

  maximum_capacity {
    cpu    = "${var.maximum_cpu} vCPU"
    memory = "${var.maximum_memory_gib} GB"
    disk   = "${var.maximum_disk_gib} GB"
  }

  network_configuration {
    subnet_ids         = var.subnet_ids
    security_group_ids = var.security_group_ids
  }
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["emr-serverless.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

data "aws_iam_policy_document" "training" {
  statement {
    sid       = "FindFiles"
    actions   = ["s3:GetBucketLocation", "s3:ListBucket"]
    resources = [var.bucket_arns["lake"], var.bucket_arns["artifacts"]]
  }

  statement {
    sid       = "ReadLake"
    actions   = ["s3:GetObject"]
    resources = ["${var.bucket_arns["lake"]}/${var.lake_prefix}/*"]
  }

  statement {
    sid     = "HandTablesOver" # driver and executors hand tables to one another there
    actions = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    resources = [
      "${var.bucket_arns["lake"]}/${var.lake_prefix}/staging/*",
      "${var.bucket_arns["artifacts"]}/*",
    ]
  }

  statement {
    sid       = "UseDataKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [var.data_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${local.region}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "training" {
  count = var.enabled ? 1 : 0

  name               = "${var.name}-spark"
  description        = "What a training on Spark may do: what `train` may, and hand tables over below the lake."
  assume_role_policy = data.aws_iam_policy_document.trust.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "training" {
  count = var.enabled ? 1 : 0

  name   = "training"
  role   = aws_iam_role.training[0].name
  policy = data.aws_iam_policy_document.training.json
}

# EMR Serverless pulls the image by itself, and looks at it before there is an application to be named here.
data "aws_iam_policy_document" "pull" {
  count = var.enabled ? 1 : 0

  statement {
    sid     = "PullTheSparkImage"
    actions = ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"]

    principals {
      type        = "Service"
      identifiers = ["emr-serverless.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${data.aws_partition.current.partition}:emr-serverless:${local.region}:${local.account}:/applications/*"]
    }
  }
}

resource "aws_ecr_repository_policy" "pull" {
  count = var.enabled ? 1 : 0

  repository = var.repository_name
  policy     = data.aws_iam_policy_document.pull[0].json
}
