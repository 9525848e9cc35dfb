# One group for each side of a conversation. Jobs and the scheduler are workers to the network: they speak to the same.

locals {
  task_groups = {
    service = "The service: asked by the load balancer alone."
    worker  = "Workers, the scheduler and jobs: asked by nobody."
    mlflow  = "MLflow: asked by the tasks, and by the load balancer once people have signed in."
  }
  mlflow_port = 5000
}

resource "aws_security_group" "task" {
  for_each = local.task_groups

  # checkov:skip=CKV2_AWS_5: attached by the module `service`, to which its id is passed.
  name        = "${var.name}-${each.key}"
  description = each.value
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-${each.key}" })
}

resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = local.task_groups

  description       = "HTTPS: Flickr and the interfaces of AWS, whose addresses change."
  security_group_id = aws_security_group.task[each.key].id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "vpc" {
  for_each = {
    for pair in setproduct(keys(local.task_groups), ["5432", "6379", tostring(local.mlflow_port)]) :
    "${pair[0]}-${pair[1]}" => { group = pair[0], port = tonumber(pair[1]) }
    if pair[0] != "mlflow" || pair[1] == "5432"
  }

  description       = "PostgreSQL (5432), Valkey (6379) and MLflow (5000) within the VPC."
  security_group_id = aws_security_group.task[each.value.group].id
  cidr_ipv4         = var.vpc_cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  tags              = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "mlflow" {
  for_each = toset(["service", "worker"])

  description                  = "MLflow, for the tasks of the group ${each.key}."
  security_group_id            = aws_security_group.task["mlflow"].id
  referenced_security_group_id = aws_security_group.task[each.key].id
  ip_protocol                  = "tcp"
  from_port                    = local.mlflow_port
  to_port                      = local.mlflow_port
  tags                         = var.tags
}
