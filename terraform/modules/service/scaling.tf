# How many tasks: always between two bounds, which are the same where nothing scales. The service follows CPU and
# requests; workers follow how long the oldest message waits, as long as Flickr's budget leaves them anything to call.

locals {
  least = var.autoscaling == null ? var.desired_count : var.autoscaling.min
  most  = var.autoscaling == null ? var.desired_count : var.autoscaling.max
  queue_metrics = {
    for place, name in(var.autoscaling == null ? [] : var.autoscaling.queue_names) : "age${place}" => name
  }
}

resource "aws_appautoscaling_target" "this" {
  count = local.running ? 1 : 0

  service_namespace  = "ecs"
  resource_id        = "service/${var.cluster_name}/${aws_ecs_service.this[0].name}"
  scalable_dimension = "ecs:service:DesiredCount"
  min_capacity       = local.least
  max_capacity       = local.most
  tags               = var.tags
}

resource "aws_appautoscaling_policy" "cpu" {
  count = local.running && try(var.autoscaling.cpu_percent, null) != null ? 1 : 0

  name               = "${local.family}-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  resource_id        = aws_appautoscaling_target.this[0].resource_id
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value       = var.autoscaling.cpu_percent
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

resource "aws_appautoscaling_policy" "requests" {
  count = local.running && try(var.autoscaling.requests_per_target, null) != null ? 1 : 0

  name               = "${local.family}-requests"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  resource_id        = aws_appautoscaling_target.this[0].resource_id
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value       = var.autoscaling.requests_per_target
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    predefined_metric_specification {
      predefined_metric_type = "ALBRequestCountPerTarget"
      resource_label         = var.autoscaling.alb_request_label
    }
  }
}

resource "aws_appautoscaling_policy" "queue" {
  count = local.running && try(var.autoscaling.queue_age_seconds, null) != null ? 1 : 0

  name               = "${local.family}-queue"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  resource_id        = aws_appautoscaling_target.this[0].resource_id
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value       = var.autoscaling.queue_age_seconds
    scale_out_cooldown = 120
    scale_in_cooldown  = 600

    customized_metric_specification {
      # More workers make no more calls than Flickr allows: without budget nothing is to be gained by any.
      metrics {
        id          = "age"
        label       = "Age of the oldest message while calls are left"
        expression  = "IF(FILL(budget, 1) > 0, MAX([${join(", ", [for id in keys(local.queue_metrics) : "FILL(${id}, 0)"])}]), 0)"
        return_data = true
      }

      metrics {
        id          = "budget"
        return_data = false

        metric_stat {
          stat = "Maximum"

          metric {
            namespace   = "PhotoRecommender"
            metric_name = "photo_recommender_budget_left"

            dimensions {
              name  = "deployment"
              value = var.name
            }

            dimensions {
              name  = "purpose"
              value = "person"
            }
          }
        }
      }

      dynamic "metrics" {
        for_each = local.queue_metrics

        content {
          id          = metrics.key
          return_data = false

          metric_stat {
            stat = "Maximum"

            metric {
              namespace   = "AWS/SQS"
              metric_name = "ApproximateAgeOfOldestMessage"

              dimensions {
                name  = "QueueName"
                value = metrics.value
              }
            }
          }
        }
      }
    }
  }
}
