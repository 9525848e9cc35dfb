# Who may do what: a role for each kind of process, which may do what its code calls on its own resources, and one that
# starts them all. The policies are JSON in policies/, a file a role, so that a person or a test reads them without Terraform.

data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  processes = toset(["service", "worker", "schedule", "train", "features", "mlflow"])

  # Values of the templates: texts, and lists as JSON.
  values = {
    region                = data.aws_region.current.region
    lake_arn              = var.bucket_arns["lake"]
    lake_prefix           = var.lake_prefix
    artifacts_arn         = var.bucket_arns["artifacts"]
    queue_arns            = jsonencode(var.queue_arns)
    all_queue_arns        = jsonencode(concat(var.queue_arns, var.dead_letter_arns))
    data_key_arn          = var.data_key_arn
    secrets_key_arn       = var.secrets_key_arn
    metrics_log_group_arn = var.log_group_arns["metrics"]
    log_stream_arns       = jsonencode([for process, arn in var.log_group_arns : "${arn}:*" if process != "metrics"])
    repository_arns       = jsonencode(concat(values(var.repository_arns), var.extra_repository_arns))
    setting_arns          = jsonencode(values(var.setting_arns))
    secret_arns           = jsonencode(concat(values(var.secret_arns), var.extra_secret_arns))
  }
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_iam_role" "process" {
  for_each = local.processes

  name               = "${var.name}-${each.key}"
  description        = "What the processes `${each.key}` of ${var.name} may do."
  assume_role_policy = data.aws_iam_policy_document.trust.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "process" {
  for_each = local.processes

  name   = each.key
  role   = aws_iam_role.process[each.key].name
  policy = templatefile("${path.module}/policies/${each.key}.json.tftpl", local.values)
}

resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  description        = "Starts the tasks of ${var.name}: images, settings, secrets, logs."
  assume_role_policy = data.aws_iam_policy_document.trust.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name   = "execution"
  role   = aws_iam_role.execution.name
  policy = templatefile("${path.module}/policies/execution.json.tftpl", local.values)
}
