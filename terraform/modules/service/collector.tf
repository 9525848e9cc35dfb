# Beside a process that shows Prometheus metrics runs a collector that reads them once a minute and writes them to
# CloudWatch as embedded metrics. docs/metrics.md describes each; those of them that alarms and the dashboard look at are
# named here, since CloudWatch costs by the metric.

locals {
  # By the labels that are kept beside `deployment`. What all processes share is read from any of them: its Maximum.
  metrics_by_labels = {
    "" = [
      "queue_dead", "queue_leased", "open_pulls", "writer_blocked", "online_store_lost", "model_stand_in",
      "model_trained_timestamp_seconds", "features_built_timestamp_seconds", "scheduler_active", "users_due",
      "users_overdue", "refresh_calls_planned", "refresh_calls_short", "snapshot_age_seconds", "pull_complete_seconds",
    ]
    degraded    = ["recommendations_total"]
    job         = ["job_failures_total"]
    kind        = ["workers", "requests_refused_total", "requests_inflight", "pull_seconds"]
    outcome     = ["flickr_calls_total"]
    part        = ["scrape_errors"]
    priority    = ["queue_waiting"]
    purpose     = ["budget_left"]
    reason      = ["flickr_trouble", "budget_paused_seconds", "impressions_dropped_total", "model_failures_total"]
    reason_kind = ["dead_letters_total"]
    rows        = ["pull_rows_total"]
    stage       = ["stage_seconds"]
    strategy    = ["recommendations_total", "recommend_seconds"]
    table       = ["lake_commits_total", "lake_commit_conflicts_total"]
  }
  metric_names = distinct(flatten(values(local.metrics_by_labels)))

  # `$$` is a single `$` to the collector, which would else look for a variable.
  collector_config = var.metrics == null ? null : {
    receivers = {
      prometheus = {
        config = {
          global = { scrape_interval = "60s", scrape_timeout = "10s" }
          scrape_configs = [{
            job_name         = "photo-recommender"
            scrape_protocols = ["PrometheusText0.0.4"] # by which counters keep their names
            static_configs   = [{ targets = ["localhost:${var.metrics.port}"], labels = { deployment = var.name } }]
            metric_relabel_configs = [{
              source_labels = ["__name__"]
              regex         = "photo_recommender_(${join("|", local.metric_names)})(_bucket|_sum|_count)?"
              action        = "keep"
            }]
          }]
        }
      }
    }
    processors = { batch = { timeout = "30s" } }
    exporters = {
      awsemf = {
        namespace               = "PhotoRecommender"
        region                  = local.region
        log_group_name          = var.metrics.log_group_name
        log_stream_name         = var.service
        dimension_rollup_option = "NoDimensionRollup"
        metric_declarations = [
          for label, names in local.metrics_by_labels : {
            dimensions            = [concat(["deployment"], label == "" ? [] : [label])]
            metric_name_selectors = ["^photo_recommender_(${join("|", names)})$$"]
          }
        ]
      }
    }
    service = {
      telemetry = { logs = { level = "warn" } }
      pipelines = {
        metrics = { receivers = ["prometheus"], processors = ["batch"], exporters = ["awsemf"] }
      }
    }
  }

  collector = var.metrics == null ? [] : [{
    name                   = "metrics"
    image                  = var.metrics.image
    essential              = false # a process goes on without being watched
    command                = null
    environment            = [{ name = "AOT_CONFIG_CONTENT", value = jsonencode(local.collector_config) }]
    secrets                = []
    readonlyRootFilesystem = true
    linuxParameters        = { initProcessEnabled = false, capabilities = { drop = ["ALL"] } }
    mountPoints            = []
    portMappings           = []
    stopTimeout            = 10
    logConfiguration       = { logDriver = "awslogs", options = merge(local.logs.options, { "awslogs-stream-prefix" = "collector" }) }
    healthCheck            = null
  }]
}
