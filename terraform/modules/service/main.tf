# One kind of process: its task definition, and what keeps it running (an ECS service) or starts it by the clock
# (schedule.tf). The root file system is read-only; what a process writes lies on volumes that end with the task.

data "aws_region" "current" {}

locals {
  family  = "${var.name}-${var.service}"
  region  = data.aws_region.current.region
  running = var.schedule == null

  volumes = { for path in var.writable_paths : trim(replace(path, "/[^a-zA-Z0-9]+/", "-"), "-") => path }

  app = {
    name                   = var.service
    image                  = var.image
    essential              = true
    command                = var.command
    environment            = [for name in sort(keys(var.environment)) : { name = name, value = var.environment[name] }]
    secrets                = [for name in sort(keys(var.secrets)) : { name = name, valueFrom = var.secrets[name] }]
    readonlyRootFilesystem = true
    linuxParameters        = { initProcessEnabled = true, capabilities = { drop = ["ALL"] } }
    mountPoints            = [for name, path in local.volumes : { sourceVolume = name, containerPath = path, readOnly = false }]
    portMappings           = var.port == null ? [] : [{ containerPort = var.port, hostPort = var.port, protocol = "tcp" }]
    stopTimeout            = var.stop_timeout_seconds
    logConfiguration       = local.logs
    healthCheck = var.health_check == null ? null : {
      command     = var.health_check.command
      interval    = var.health_check.interval_seconds
      timeout     = var.health_check.timeout_seconds
      retries     = var.health_check.retries
      startPeriod = var.health_check.start_seconds
    }
  }

  logs = {
    logDriver = "awslogs"
    options = {
      "awslogs-group"         = var.log_group_name
      "awslogs-region"        = local.region
      "awslogs-stream-prefix" = "task"
      mode                    = "non-blocking" # a process never waits for its logs…
      "max-buffer-size"       = "8m"           # …and may lose lines beyond these
    }
  }
}

resource "aws_ecs_task_definition" "this" {
  family                   = local.family
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = var.role_arn
  execution_role_arn       = var.execution_role_arn
  tags                     = var.tags

  # What is null is left out: ECS would take it for a difference at every plan.
  container_definitions = jsonencode([
    for container in concat([local.app], local.collector) : { for key, value in container : key => value if value != null }
  ])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  ephemeral_storage {
    size_in_gib = var.ephemeral_storage_gib
  }

  dynamic "volume" {
    for_each = local.volumes

    content {
      name = volume.key
    }
  }
}

resource "aws_ecs_service" "this" {
  count = local.running ? 1 : 0

  name                               = var.service
  cluster                            = var.cluster_arn
  task_definition                    = aws_ecs_task_definition.this.arn
  desired_count                      = local.least
  platform_version                   = "LATEST"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = var.target_group_arn == null ? null : var.health_check_grace_seconds
  enable_execute_command             = false
  propagate_tags                     = "SERVICE"
  tags                               = var.tags

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

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

  dynamic "load_balancer" {
    for_each = var.target_group_arn == null ? [] : [var.target_group_arn]

    content {
      target_group_arn = load_balancer.value
      container_name   = var.service
      container_port   = var.port
    }
  }

  dynamic "service_registries" {
    for_each = aws_service_discovery_service.this

    content {
      registry_arn = service_registries.value.arn
    }
  }

  lifecycle {
    ignore_changes = [desired_count] # scaling.tf holds the bounds, autoscaling what is in between
  }
}

locals {
  spot     = floor(var.spot_share * 100)
  capacity = { for provider, weight in { FARGATE = 100 - local.spot, FARGATE_SPOT = local.spot } : provider => weight if weight > 0 }
}

resource "aws_service_discovery_service" "this" {
  count = local.running && var.discovery_namespace_id != null ? 1 : 0

  name = var.service
  tags = var.tags

  dns_config {
    namespace_id   = var.discovery_namespace_id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}
