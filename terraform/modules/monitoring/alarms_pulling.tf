# Alarms of pulling: Flickr, its budget, the queue, workers and the lake. Thresholds as in docs/metrics.md, What to watch.

locals {
  age_metrics = {
    for priority, name in var.queue_names : "age_${priority}" => {
      namespace = "AWS/SQS", name = "ApproximateAgeOfOldestMessage", dimensions = { QueueName = name }, stat = "Maximum"
    }
  }
  filled_ages = join(", ", [for id in keys(local.age_metrics) : "FILL(${id}, 0)"])

  budget_left = {
    namespace = local.ours, name = "photo_recommender_budget_left", dimensions = merge(local.deployment, { purpose = "person" }), stat = "Maximum"
  }

  pulling_alarms = {
    "flickr-key" = {
      says      = "Flickr refuses the key: nothing is pulled, walls go on."
      operator  = "GreaterThanThreshold"
      threshold = 0
      period    = 60
      periods   = 5
      metrics = {
        trouble = { namespace = local.ours, name = "photo_recommender_flickr_trouble", dimensions = merge(local.deployment, { reason = "key_invalid" }), stat = "Maximum" }
      }
    }
    "flickr-down" = {
      says      = "Flickr has kept failing for half an hour."
      operator  = "GreaterThanThreshold"
      threshold = 0
      period    = 300
      periods   = 6
      metrics = {
        trouble = { namespace = local.ours, name = "photo_recommender_flickr_trouble", dimensions = merge(local.deployment, { reason = "unavailable" }), stat = "Maximum" }
      }
    }
    "budget-spent" = {
      says      = "The hour's calls of Flickr are spent, and people wait."
      operator  = "LessThanOrEqualToThreshold"
      threshold = 0
      period    = 300
      periods   = 3
      metrics   = { left = local.budget_left }
    }
    "queue-age" = {
      says       = "Messages wait too long though Flickr may still be called."
      operator   = "GreaterThanThreshold"
      threshold  = var.thresholds.queue_age_seconds
      period     = 300
      periods    = 3
      expression = "IF(FILL(left, 1) > 0, MAX([${local.filled_ages}]), 0)"
      metrics    = merge(local.age_metrics, { left = local.budget_left })
    }
    "dead-letters" = {
      says       = "There are messages that nobody works on any more."
      operator   = "GreaterThanThreshold"
      threshold  = 0
      period     = 60
      periods    = 1
      expression = "SUM(METRICS())"
      metrics = {
        for kind, name in var.dead_letter_names : "dead_${kind}" => {
          namespace = "AWS/SQS", name = "ApproximateNumberOfMessagesVisible", dimensions = { QueueName = name }, stat = "Maximum"
        }
      }
    }
    "no-workers" = {
      says      = "No worker is at work: nothing is pulled or relayed. Or nobody can say so."
      operator  = "LessThanThreshold"
      threshold = 1
      period    = 60
      periods   = 5
      missing   = "breaching"
      metrics = {
        workers = { namespace = local.ours, name = "photo_recommender_workers", dimensions = merge(local.deployment, { kind = "worker" }), stat = "Maximum" }
      }
    }
    "no-scheduler" = {
      says      = "No scheduler is at work: nothing is refreshed or tidied."
      operator  = "LessThanThreshold"
      threshold = 1
      period    = 60
      periods   = 10
      missing   = "breaching"
      metrics = {
        schedulers = { namespace = local.ours, name = "photo_recommender_workers", dimensions = merge(local.deployment, { kind = "scheduler" }), stat = "Maximum" }
      }
    }
    "lake-blocked" = {
      says      = "A worker can't write to the lake, and takes no messages."
      operator  = "GreaterThanThreshold"
      threshold = 0
      period    = 60
      periods   = 5
      metrics = {
        blocked = { namespace = local.ours, name = "photo_recommender_writer_blocked", dimensions = local.deployment, stat = "Maximum" }
      }
    }
    "parts-unreadable" = {
      says       = "SQL, the queue or the budget can't be read by the processes that show metrics."
      operator   = "GreaterThanThreshold"
      threshold  = 0
      period     = 60
      periods    = 5
      expression = "SUM(METRICS())"
      metrics = {
        for part in ["queue", "budget", "workers", "pulls"] : part => {
          namespace = local.ours, name = "photo_recommender_scrape_errors", dimensions = merge(local.deployment, { part = part }), stat = "Maximum"
        }
      }
    }
    "refresh-behind" = {
      says      = "For a day people's data have been older than REFRESH_MAX_HOURS: the budget is too small."
      operator  = "GreaterThanThreshold"
      threshold = 0
      period    = 3600
      periods   = 24
      metrics = {
        overdue = { namespace = local.ours, name = "photo_recommender_users_overdue", dimensions = local.deployment, stat = "Maximum" }
      }
    }
  }
}
