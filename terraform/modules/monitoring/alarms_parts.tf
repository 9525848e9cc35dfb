# Alarms of the parts underneath: tasks and jobs of ECS, the logs, the database, the cache.

locals {
  part_alarms = {
    "job-failed" = {
      says      = "A job of the clock or of the scheduler has failed."
      operator  = "GreaterThanThreshold"
      threshold = 0
      period    = 300
      periods   = 1
      # Two ways to fail: a task that ended with a status, and a line `job_failed` of the scheduler.
      expression = "FILL(stopped, 0) + FILL(logged, 0)"
      metrics = {
        stopped = { namespace = local.logs, name = "FailedJobs", dimensions = {}, stat = "Sum" }
        logged  = { namespace = local.logs, name = "FailedRecurringJobs", dimensions = {}, stat = "Sum" }
      }
    }
    "tasks-crash" = {
      says      = "Tasks of a service keep ending by themselves."
      operator  = "GreaterThanThreshold"
      threshold = 3
      period    = 900
      periods   = 1
      metrics   = { crashed = { namespace = local.logs, name = "CrashedTasks", dimensions = {}, stat = "Sum" } }
    }
    "errors-logged" = {
      says      = "Processes log errors, more than now and then."
      operator  = "GreaterThanThreshold"
      threshold = var.thresholds.errors
      period    = 300
      periods   = 2
      metrics   = { errors = { namespace = local.logs, name = "Errors", dimensions = {}, stat = "Sum" } }
    }
    "memory" = {
      says       = "Tasks are about to be killed for want of memory."
      operator   = "GreaterThanThreshold"
      threshold  = 90
      period     = 300
      periods    = 3
      expression = "MAX(METRICS())"
      metrics = {
        for process, service in var.service_names : "memory_${process}" => {
          namespace = "AWS/ECS", name = "MemoryUtilization", dimensions = { ClusterName = var.cluster_name, ServiceName = service }, stat = "Maximum"
        }
      }
    }
    "database-busy" = {
      says      = "The database's processors are busy."
      operator  = "GreaterThanThreshold"
      threshold = 85
      period    = 300
      periods   = 3
      metrics   = { cpu = { namespace = "AWS/RDS", name = "CPUUtilization", dimensions = { DBInstanceIdentifier = var.database_id }, stat = "Average" } }
    }
    "database-storage" = {
      says      = "The database's disk is nearly full."
      operator  = "LessThanThreshold"
      threshold = var.thresholds.database_free_gib * 1073741824
      period    = 300
      periods   = 1
      metrics   = { free = { namespace = "AWS/RDS", name = "FreeStorageSpace", dimensions = { DBInstanceIdentifier = var.database_id }, stat = "Minimum" } }
    }
    "cache-full" = {
      says      = "The cache's memory is nearly full: it will refuse writes, or forget features."
      operator  = "GreaterThanThreshold"
      threshold = 85
      period    = 300
      periods   = 2
      metrics   = { used = { namespace = "AWS/ElastiCache", name = "DatabaseMemoryUsagePercentage", dimensions = { CacheClusterId = var.cache_id }, stat = "Maximum" } }
    }
  }
}
