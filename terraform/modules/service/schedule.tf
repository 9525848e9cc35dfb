# A job: the same task, started by the clock. EventBridge's Scheduler may start this very revision, and nothing else.

locals {
  scheduled = var.schedule == null ? {} : { (var.service) = var.schedule }
}

data "aws_iam_policy_document" "scheduler_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

data "aws_caller_identity" "current" {}

data "aws_iam_policy_document" "scheduler" {
  statement {
    sid       = "StartTheJob"
    actions   = ["ecs:RunTask"]
    resources = [aws_ecs_task_definition.this.arn]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [var.cluster_arn]
    }
  }

  statement {
    sid       = "GiveItItsRoles"
    actions   = ["iam:PassRole"]
    resources = [var.role_arn, var.execution_role_arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "scheduler" {
  for_each = local.scheduled

  name               = "${local.family}-scheduler"
  description        = "Starts the job ${var.service} of ${var.name} by the clock."
  assume_role_policy = data.aws_iam_policy_document.scheduler_trust.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "scheduler" {
  for_each = local.scheduled

  name   = "start"
  role   = aws_iam_role.scheduler[each.key].name
  policy = data.aws_iam_policy_document.scheduler.json
}

resource "aws_scheduler_schedule" "this" {
  for_each = local.scheduled

  # checkov:skip=CKV_AWS_297: it holds names of this account's parts and no data; AWS's own key does.
  name                         = local.family
  description                  = "Starts the job ${var.service} of ${var.name}."
  schedule_expression          = each.value
  schedule_expression_timezone = var.schedule_timezone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = var.cluster_arn
    role_arn = aws_iam_role.scheduler[each.key].arn

    ecs_parameters {
      task_definition_arn = aws_ecs_task_definition.this.arn
      task_count          = 1
      platform_version    = "LATEST"

      dynamic "capacity_provider_strategy" {
        for_each = local.capacity

        content {
          capacity_provider = capacity_provider_strategy.key
          weight            = capacity_provider_strategy.value
        }
      }

      network_configuration {
        subnets          = var.subnets
        security_groups  = var.security_group_ids
        assign_public_ip = var.assign_public_ip
      }
    }

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 5
    }
  }
}
