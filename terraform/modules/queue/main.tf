locals {
  fourteen_days = 14 * 24 * 3600
  most_bytes    = 256 * 1024
  queues        = merge(aws_sqs_queue.priority, { dead = aws_sqs_queue.dead })
}

resource "aws_sqs_queue" "dead" {
  name                              = "${var.name}-dead"
  message_retention_seconds         = local.fourteen_days
  visibility_timeout_seconds        = var.lease_seconds
  max_message_size                  = local.most_bytes
  kms_master_key_id                 = var.data_key_arn
  kms_data_key_reuse_period_seconds = 3600

  tags = var.tags
}

resource "aws_sqs_queue" "priority" {
  for_each = toset(var.priorities)

  name                              = "${var.name}-${each.key}"
  message_retention_seconds         = local.fourteen_days
  visibility_timeout_seconds        = var.lease_seconds
  max_message_size                  = local.most_bytes
  kms_master_key_id                 = var.data_key_arn
  kms_data_key_reuse_period_seconds = 3600

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = var.most_deliveries
  })

  tags = var.tags
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url = aws_sqs_queue.dead.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [for priority in var.priorities : aws_sqs_queue.priority[priority].arn]
  })
}

data "aws_iam_policy_document" "only_tls" {
  for_each = toset(concat(var.priorities, ["dead"]))

  statement {
    sid       = "OnlyTls"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [local.queues[each.key].arn]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sqs_queue_policy" "this" {
  for_each = toset(concat(var.priorities, ["dead"]))

  queue_url = local.queues[each.key].id
  policy    = data.aws_iam_policy_document.only_tls[each.key].json
}
