# Where the tasks run: the ECS cluster on Fargate, a log group for each kind of process, the private names by which they
# find one another, and the security groups that say who may speak to whom.

resource "aws_ecs_cluster" "this" {
  name = var.name
  tags = var.tags

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]

  default_capacity_provider_strategy {
    capacity_provider = "FARGATE"
    weight            = 1
  }
}

locals {
  processes = toset(["service", "worker", "schedule", "train", "features", "mlflow", "metrics"])
}

resource "aws_cloudwatch_log_group" "process" {
  for_each = local.processes

  # checkov:skip=CKV_AWS_338: logs name users; how long they are kept is var.retention_days, and no longer than needed.
  name              = "/${var.name}/${each.key}"
  retention_in_days = var.retention_days
  kms_key_id        = var.logs_key_arn
  tags              = var.tags
}

resource "aws_service_discovery_private_dns_namespace" "this" {
  name        = "${var.name}.internal"
  description = "Names of the processes of ${var.name} for one another."
  vpc         = var.vpc_id
  tags        = var.tags
}
