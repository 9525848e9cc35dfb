# What is counted in logs, and what is often asked of them. Processes log JSON lines (features/logs.py).

locals {
  json_logs = { for process, name in var.log_group_names : process => name if !contains(["mlflow", "metrics"], process) }

  queries = {
    errors         = "fields @timestamp, @log, event, reason, exception | filter level in ['error', 'critical'] | sort @timestamp desc | limit 100"
    "by-event"     = "stats count(*) as lines by @log, level, event | sort lines desc | limit 50"
    "one-request"  = "fields @timestamp, @log, level, event, reason | filter correlation_id = 'REQUEST-ID' | sort @timestamp asc"
    "one-user"     = "fields @timestamp, @log, event, reason | filter user_id = 'NSID' | sort @timestamp desc | limit 200"
    pulls          = "filter event in ['pull_failed', 'pull_put_off', 'pull_broke', 'message_poison'] | stats count(*) as lines by event, reason | sort lines desc | limit 50"
    "flickr-retry" = "filter event = 'flickr_retry' | stats count(*) as tries by method, reason | sort tries desc"
    jobs           = "fields @timestamp, event, job, reason, said | filter event in ['job_failed', 'job_finished', 'train_if_due', 'new_photos_taken', 'models_measured'] | sort @timestamp desc | limit 100"
    models         = "fields @timestamp, event, version, reason, kept | filter event in ['champion_changed', 'champion_not_loaded', 'stand_in_loaded', 'stand_in_not_loaded'] | sort @timestamp desc | limit 50"
  }
}

resource "aws_cloudwatch_log_metric_filter" "errors" {
  for_each = local.json_logs

  name           = "${var.name}-errors"
  log_group_name = each.value
  pattern        = "{ ($.level = \"error\") || ($.level = \"critical\") }"

  metric_transformation {
    namespace     = local.logs
    name          = "Errors"
    value         = "1"
    default_value = "0"
  }
}

resource "aws_cloudwatch_log_metric_filter" "recurring" {
  name           = "${var.name}-recurring-jobs"
  log_group_name = var.log_group_names["schedule"]
  pattern        = "{ $.event = \"job_failed\" }"

  metric_transformation {
    namespace     = local.logs
    name          = "FailedRecurringJobs"
    value         = "1"
    default_value = "0"
  }
}

resource "aws_cloudwatch_query_definition" "this" {
  for_each = local.queries

  name            = "${var.name}/${each.key}"
  log_group_names = values(local.json_logs)
  query_string    = replace(each.value, " | ", "\n| ")
}

# Tasks that ended with a status other than 0: ECS tells EventBridge, which writes it to a log group of its own.
resource "aws_cloudwatch_event_rule" "stopped" {
  name        = "${var.name}-stopped-tasks"
  description = "Tasks of ${var.name} that ended with a status other than 0."
  tags        = var.tags

  event_pattern = jsonencode({
    source        = ["aws.ecs"]
    "detail-type" = ["ECS Task State Change"]
    detail = {
      clusterArn = [var.cluster_arn]
      lastStatus = ["STOPPED"]
      containers = { exitCode = [{ anything-but = [0, 143] }] } # 143: ended by the SIGTERM that was sent to it
    }
  })
}

resource "aws_cloudwatch_log_group" "stopped" {
  # checkov:skip=CKV_AWS_338: nothing in it is worth a year.
  name              = "/aws/events/${var.name}-stopped-tasks"
  retention_in_days = 30
  kms_key_id        = var.logs_key_arn
  tags              = var.tags
}

data "aws_iam_policy_document" "stopped" {
  statement {
    sid       = "EventBridge"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.stopped.arn}:*"]

    principals {
      type        = "Service"
      identifiers = ["delivery.logs.amazonaws.com", "events.amazonaws.com"]
    }
  }
}

resource "aws_cloudwatch_log_resource_policy" "stopped" {
  policy_name     = "${var.name}-stopped-tasks"
  policy_document = data.aws_iam_policy_document.stopped.json
}

resource "aws_cloudwatch_event_target" "stopped" {
  rule = aws_cloudwatch_event_rule.stopped.name
  arn  = aws_cloudwatch_log_group.stopped.arn
}

resource "aws_cloudwatch_log_metric_filter" "stopped" {
  for_each = {
    FailedJobs   = "{ $.detail.group = \"family:*\" }"
    CrashedTasks = "{ $.detail.group = \"service:*\" }"
  }

  name           = "${var.name}-${each.key}"
  log_group_name = aws_cloudwatch_log_group.stopped.name
  pattern        = each.value

  metric_transformation {
    namespace     = local.logs
    name          = each.key
    value         = "1"
    default_value = "0"
  }
}
