# Alarms of serving: walls and how fast they are, the model, its features, and requests that fail.

locals {
  balancer        = { LoadBalancer = var.alb_arn_suffix }
  target_group    = merge(local.balancer, { TargetGroup = var.target_group_arn_suffix })
  recommendations = "photo_recommender_recommendations_total"

  walls_by_strategy = {
    for strategy in ["personalized", "neighbors", "popular"] : strategy => {
      namespace = local.ours, name = local.recommendations, dimensions = merge(local.deployment, { strategy = strategy }), stat = "Sum"
    }
  }

  serving_alarms = {
    "walls-empty" = {
      says       = "Walls are empty or have collapsed: most begin with what is popular with everybody, or with nothing."
      operator   = "GreaterThanThreshold"
      threshold  = var.thresholds.popular_share
      period     = 300
      periods    = 3
      expression = "IF(FILL(personalized, 0) + FILL(neighbors, 0) + FILL(popular, 0) >= 20, FILL(popular, 0) / (FILL(personalized, 0) + FILL(neighbors, 0) + FILL(popular, 0)), 0)"
      metrics    = local.walls_by_strategy
    }
    "walls-degraded" = {
      says       = "Walls are less than they should be: no model, no features, or no online store."
      operator   = "GreaterThanThreshold"
      threshold  = 0.05
      period     = 300
      periods    = 2
      expression = "IF(FILL(whole, 0) + FILL(degraded, 0) >= 20, FILL(degraded, 0) / (FILL(whole, 0) + FILL(degraded, 0)), 0)"
      metrics = {
        degraded = { namespace = local.ours, name = local.recommendations, dimensions = merge(local.deployment, { degraded = "true" }), stat = "Sum" }
        whole    = { namespace = local.ours, name = local.recommendations, dimensions = merge(local.deployment, { degraded = "false" }), stat = "Sum" }
      }
    }
    "online-store" = {
      says      = "The online store is gone or slow: walls are made of what was read before."
      operator  = "GreaterThanThreshold"
      threshold = 0
      period    = 60
      periods   = 2
      metrics = {
        lost = { namespace = local.ours, name = "photo_recommender_online_store_lost", dimensions = local.deployment, stat = "Maximum" }
      }
    }
    "impressions-lost" = {
      says      = "What walls showed is not recorded: the service can't write to the lake."
      operator  = "GreaterThanThreshold"
      threshold = 0
      period    = 300
      periods   = 2
      metrics = {
        dropped = { namespace = local.ours, name = "photo_recommender_impressions_dropped_total", dimensions = merge(local.deployment, { reason = "full" }), stat = "Sum" }
      }
    }
    "model-corrupt" = {
      says      = "The newest champion is broken; the one before goes on."
      operator  = "GreaterThanThreshold"
      threshold = 0
      period    = 300
      periods   = 1
      metrics = {
        failures = { namespace = local.ours, name = "photo_recommender_model_failures_total", dimensions = merge(local.deployment, { reason = "corrupt" }), stat = "Sum" }
      }
    }
    "mlflow-unreachable" = {
      says       = "MLflow or its artifacts can't be reached: the service goes on with the model it has, or with a stand-in."
      operator   = "GreaterThanThreshold"
      threshold  = 0
      period     = 300
      periods    = 3
      expression = "FILL(failures, 0) + FILL(stand_in, 0)"
      metrics = {
        failures = { namespace = local.ours, name = "photo_recommender_model_failures_total", dimensions = merge(local.deployment, { reason = "unreachable" }), stat = "Sum" }
        stand_in = { namespace = local.ours, name = "photo_recommender_model_stand_in", dimensions = local.deployment, stat = "Maximum" }
      }
    }
    "model-old" = {
      says       = "No training has made a champion for long."
      operator   = "GreaterThanThreshold"
      threshold  = var.thresholds.model_age_days * 86400
      period     = 3600
      periods    = 24
      expression = "IF(trained > 0, EPOCH(trained) - trained, 0)"
      metrics = {
        trained = { namespace = local.ours, name = "photo_recommender_model_trained_timestamp_seconds", dimensions = local.deployment, stat = "Maximum" }
      }
    }
    "features-old" = {
      says       = "`photo-recommender features` does not run, or fails."
      operator   = "GreaterThanThreshold"
      threshold  = var.thresholds.features_age_hours * 3600
      period     = 3600
      periods    = 1
      expression = "IF(built > 0, EPOCH(built) - built, 0)"
      metrics = {
        built = { namespace = local.ours, name = "photo_recommender_features_built_timestamp_seconds", dimensions = local.deployment, stat = "Maximum" }
      }
    }
    "overload" = {
      says      = "More requests come than the service can do; some are answered 429."
      operator  = "GreaterThanThreshold"
      threshold = 0
      period    = 60
      periods   = 5
      metrics = {
        refused = { namespace = local.ours, name = "photo_recommender_requests_refused_total", dimensions = merge(local.deployment, { kind = "work" }), stat = "Sum" }
      }
    }
    "slow" = {
      says      = "One request in a hundred takes too long."
      operator  = "GreaterThanThreshold"
      threshold = var.thresholds.p99_seconds
      period    = 300
      periods   = 2
      metrics   = { p99 = { namespace = "AWS/ApplicationELB", name = "TargetResponseTime", dimensions = local.target_group, stat = "p99" } }
    }
    "http-5xx" = {
      says       = "More than one request in a hundred fails."
      operator   = "GreaterThanThreshold"
      threshold  = 0.01
      period     = 300
      periods    = 1
      expression = "IF(FILL(requests, 0) >= 50, (FILL(failed, 0) + FILL(unanswered, 0)) / requests, 0)"
      metrics = {
        failed     = { namespace = "AWS/ApplicationELB", name = "HTTPCode_Target_5XX_Count", dimensions = local.balancer, stat = "Sum" }
        unanswered = { namespace = "AWS/ApplicationELB", name = "HTTPCode_ELB_5XX_Count", dimensions = local.balancer, stat = "Sum" }
        requests   = { namespace = "AWS/ApplicationELB", name = "RequestCount", dimensions = local.balancer, stat = "Sum" }
      }
    }
    "service-down" = {
      says      = "No task of the service is ready: nobody gets a wall."
      operator  = "LessThanThreshold"
      threshold = 1
      period    = 60
      periods   = 2
      missing   = "breaching"
      metrics   = { ready = { namespace = "AWS/ApplicationELB", name = "HealthyHostCount", dimensions = local.target_group, stat = "Maximum" } }
    }
  }
}
