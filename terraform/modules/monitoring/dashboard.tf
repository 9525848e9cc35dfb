# One page of graphs, in the order in which one asks: are walls well, is pulling well, how are the parts underneath?

locals {
  age_rows = [for name in values(var.queue_names) : ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", name, { stat = "Maximum" }]]
  wait_rows = [
    for name in concat(values(var.queue_names), values(var.dead_letter_names)) :
    ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", name, { stat = "Maximum" }]
  ]
  service_rows = { for metric in ["CPUUtilization", "MemoryUtilization"] : metric => [
    for name in values(var.service_names) : ["AWS/ECS", metric, "ClusterName", var.cluster_name, "ServiceName", name, { stat = "Average" }]
  ] }

  graphs = [
    { title = "Walls by strategy", rows = [for s in ["personalized", "neighbors", "popular"] : [local.ours, local.recommendations, "deployment", var.name, "strategy", s, { stat = "Sum" }]] },
    { title = "Degraded walls", rows = [[local.ours, local.recommendations, "deployment", var.name, "degraded", "true", { stat = "Sum" }]] },
    { title = "Time of a wall, mean (s)", rows = [for s in ["personalized", "neighbors", "popular"] : [local.ours, "photo_recommender_recommend_seconds", "deployment", var.name, "strategy", s, { stat = "Average" }]] },
    { title = "Time by stage, mean (s)", rows = [for s in ["features", "fold-in", "retrieve", "re-rank", "filter", "reasons", "people"] : [local.ours, "photo_recommender_stage_seconds", "deployment", var.name, "stage", s, { stat = "Average" }]] },
    { title = "Time of a request (s)", rows = [for s in ["p50", "p95", "p99"] : ["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", var.alb_arn_suffix, "TargetGroup", var.target_group_arn_suffix, { stat = s, label = s }]] },
    { title = "Requests, and those that failed", rows = [for m in ["RequestCount", "HTTPCode_Target_4XX_Count", "HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count"] : ["AWS/ApplicationELB", m, "LoadBalancer", var.alb_arn_suffix, { stat = "Sum" }]] },
    { title = "Refused, as there were enough", rows = [for k in ["work", "flickr", "stream"] : [local.ours, "photo_recommender_requests_refused_total", "deployment", var.name, "kind", k, { stat = "Sum" }]] },
    { title = "Model and features: made at (unix s)", rows = [for m in ["photo_recommender_model_trained_timestamp_seconds", "photo_recommender_features_built_timestamp_seconds"] : [local.ours, m, "deployment", var.name, { stat = "Maximum" }]] },
    { title = "Model failures and stand-ins", rows = concat(
      [for r in ["corrupt", "unreachable", "other"] : [local.ours, "photo_recommender_model_failures_total", "deployment", var.name, "reason", r, { stat = "Sum" }]],
      [[local.ours, "photo_recommender_model_stand_in", "deployment", var.name, { stat = "Maximum" }]],
    ) },
    { title = "Time to get all data of a person, mean (s)", rows = [[local.ours, "photo_recommender_pull_complete_seconds", "deployment", var.name, { stat = "Average" }]] },
    { title = "Time of a pull by kind, mean (s)", rows = [for k in ["favorites", "contacts", "neighbors"] : [local.ours, "photo_recommender_pull_seconds", "deployment", var.name, "kind", k, { stat = "Average" }]] },
    { title = "Workers and schedulers at work", rows = [for k in ["worker", "scheduler"] : [local.ours, "photo_recommender_workers", "deployment", var.name, "kind", k, { stat = "Maximum" }]] },
    { title = "Queues: age of the oldest message (s)", rows = local.age_rows },
    { title = "Queues and dead letters: messages that wait", rows = local.wait_rows },
    { title = "Calls of Flickr by outcome", rows = [for o in ["ok", "not_found", "refused", "token_invalid", "key_invalid", "throttled", "unavailable"] : [local.ours, "photo_recommender_flickr_calls_total", "deployment", var.name, "outcome", o, { stat = "Sum" }]] },
    { title = "Calls left this hour", rows = [for p in ["person", "refresh", "anonymous"] : [local.ours, "photo_recommender_budget_left", "deployment", var.name, "purpose", p, { stat = "Maximum" }]] },
    { title = "Refreshes due and overdue, people who wait", rows = [for m in ["photo_recommender_users_due", "photo_recommender_users_overdue", "photo_recommender_open_pulls"] : [local.ours, m, "deployment", var.name, { stat = "Maximum" }]] },
    { title = "Rows that pulls added to the lake", rows = [for r in ["interactions", "photos", "users", "contacts", "unfavorites", "quarantined"] : [local.ours, "photo_recommender_pull_rows_total", "deployment", var.name, "rows", r, { stat = "Sum" }]] },
    { title = "Lake: commits and conflicts on interactions", rows = [for m in ["photo_recommender_lake_commits_total", "photo_recommender_lake_commit_conflicts_total"] : [local.ours, m, "deployment", var.name, "table", "interactions", { stat = "Sum" }]] },
    { title = "Errors in logs, failed jobs, crashed tasks", rows = [for m in ["Errors", "FailedJobs", "FailedRecurringJobs", "CrashedTasks"] : [local.logs, m, { stat = "Sum" }]] },
    { title = "ECS: processors (%)", rows = local.service_rows["CPUUtilization"] },
    { title = "ECS: memory (%)", rows = local.service_rows["MemoryUtilization"] },
    { title = "Database: processors (%), connections", rows = [for m in ["CPUUtilization", "DatabaseConnections"] : ["AWS/RDS", m, "DBInstanceIdentifier", var.database_id, { stat = "Average" }]] },
    { title = "Database: latency (s)", rows = [for m in ["ReadLatency", "WriteLatency"] : ["AWS/RDS", m, "DBInstanceIdentifier", var.database_id, { stat = "Average" }]] },
    { title = "Database: free disk (bytes)", rows = [["AWS/RDS", "FreeStorageSpace", "DBInstanceIdentifier", var.database_id, { stat = "Minimum" }]] },
    { title = "Cache: memory and processor (%)", rows = [for m in ["DatabaseMemoryUsagePercentage", "EngineCPUUtilization"] : ["AWS/ElastiCache", m, "CacheClusterId", var.cache_id, { stat = "Maximum" }]] },
    { title = "Cache: evictions", rows = [["AWS/ElastiCache", "Evictions", "CacheClusterId", var.cache_id, { stat = "Sum" }]] },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = concat(
      [{
        type       = "alarm", x = 0, y = 0, width = 24, height = 4
        properties = { title = "Alarms", alarms = [for alarm in aws_cloudwatch_metric_alarm.this : alarm.arn] }
      }],
      [for place, graph in local.graphs : {
        type = "metric", x = (place % 3) * 8, y = 4 + floor(place / 3) * 6, width = 8, height = 6
        properties = {
          title   = graph.title
          region  = local.region
          view    = "timeSeries"
          stacked = false
          period  = 300
          metrics = graph.rows
        }
      }],
    )
  })
}
