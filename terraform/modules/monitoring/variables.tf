variable "name" {
  description = "Name of the deployment, the beginning of every name in it, such as photo-recommender-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,31}$", var.name))
    error_message = "name is 3 to 32 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}

variable "emails" {
  description = "Addresses that alarms are mailed to; each gets a mail that asks it to confirm."
  type        = list(string)
  default     = []
}

variable "topic_key_arn" {
  description = "ARN of the KMS key that encrypts the topic; its policy must allow cloudwatch.amazonaws.com and budgets.amazonaws.com."
  type        = string
}

variable "logs_key_arn" {
  description = "ARN of the KMS key that encrypts logs."
  type        = string
}

variable "collectors" {
  description = "Whether collectors run beside the processes (module service, `metrics`): without them only AWS's own metrics and the logs are looked at."
  type        = bool
  default     = true
}

variable "cluster_name" {
  description = "Name of the ECS cluster."
  type        = string
}

variable "cluster_arn" {
  description = "ARN of the ECS cluster."
  type        = string
}

variable "service_names" {
  description = "Names of the ECS services, by kind of process."
  type        = map(string)
}

variable "log_group_names" {
  description = "Names of the log groups, by kind of process, as module cluster gives them."
  type        = map(string)
}

variable "queue_names" {
  description = "Names of the queues of pulls, by priority."
  type        = map(string)
}

variable "dead_letter_names" {
  description = "Names of the queues of dead letters."
  type        = map(string)
}

variable "alb_arn_suffix" {
  description = "The load balancer, as CloudWatch's metrics name it."
  type        = string
}

variable "target_group_arn_suffix" {
  description = "The service's target group, as CloudWatch's metrics name it."
  type        = string
}

variable "database_id" {
  description = "Identifier of the database's instance."
  type        = string
}

variable "cache_id" {
  description = "Name of the cache's first node, as CloudWatch's metrics name it: <replication group>-001."
  type        = string
}

variable "thresholds" {
  description = "When alarms rise: seconds that a message waits, share of walls that begin with popular photos, seconds of a request (99th percentile), age of the model (days; one and a half times RETRAIN_MAX_DAYS) and of features (hours), errors logged in five minutes, GiB free in the database."
  type = object({
    queue_age_seconds  = optional(number, 3600)
    popular_share      = optional(number, 0.5)
    p99_seconds        = optional(number, 1)
    model_age_days     = optional(number, 45)
    features_age_hours = optional(number, 48)
    errors             = optional(number, 10)
    database_free_gib  = optional(number, 2)
  })
  default = {}
}
