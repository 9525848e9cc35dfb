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

variable "service" {
  description = "Kind of process, such as `worker`: the name of the container and of the ECS service. The family of its tasks is <name>-<service>."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.service))
    error_message = "service is lower-case letters, digits and hyphens."
  }
}

variable "cluster_arn" {
  description = "ARN of the ECS cluster."
  type        = string
}

variable "cluster_name" {
  description = "Name of the ECS cluster."
  type        = string
}

variable "image" {
  description = "Image of the process, by digest (repository@sha256:…), so that a rollback is the image that it was."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image ends with its digest, @sha256:…: a tag says nothing about what will run."
  }
}

variable "command" {
  description = "Command of the container; null: the image's own."
  type        = list(string)
  default     = null
}

variable "cpu" {
  description = "CPU units of a task (1024: one core)."
  type        = number

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu)
    error_message = "cpu is one of Fargate's sizes: 256, 512, 1024, 2048, 4096, 8192, 16384."
  }
}

variable "memory" {
  description = "MiB of memory of a task, in a size that Fargate has for that cpu."
  type        = number

  validation {
    condition     = var.memory >= 512 && var.memory <= 122880
    error_message = "memory is 512 to 122880 MiB."
  }
}

variable "architecture" {
  description = "Processor of the image: ARM64 (a fifth cheaper) or X86_64."
  type        = string
  default     = "ARM64"

  validation {
    condition     = contains(["ARM64", "X86_64"], var.architecture)
    error_message = "architecture is ARM64 or X86_64."
  }
}

variable "ephemeral_storage_gib" {
  description = "GiB of disk of a task, for models and what a job sets down; gone when it ends."
  type        = number
  default     = 21

  validation {
    condition     = var.ephemeral_storage_gib >= 21 && var.ephemeral_storage_gib <= 200
    error_message = "ephemeral_storage_gib is 21 to 200."
  }
}

variable "environment" {
  description = "Environment variables that are no secrets and the same in every deployment (settings come by `secrets`, from Parameter Store)."
  type        = map(string)
  default     = {}
}

variable "secrets" {
  description = "Environment variables to ARNs of parameters or secrets; with a key of a JSON secret: ARN:key::."
  type        = map(string)
  default     = {}
}

variable "role_arn" {
  description = "ARN of the role that the process has."
  type        = string
}

variable "execution_role_arn" {
  description = "ARN of the role that starts it: reads image, parameters and secrets, writes logs."
  type        = string
}

variable "log_group_name" {
  description = "Log group of the process."
  type        = string
}

variable "subnets" {
  description = "Subnets of the tasks."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of the tasks."
  type        = list(string)
}

variable "assign_public_ip" {
  description = "Give tasks addresses of the internet: only in public subnets, to save a NAT."
  type        = bool
  default     = false
}

variable "desired_count" {
  description = "Tasks, where nothing scales."
  type        = number
  default     = 1
}

variable "spot_share" {
  description = "Share of tasks on Fargate Spot (0 to 1), for processes that may be killed at any moment."
  type        = number
  default     = 0

  validation {
    condition     = var.spot_share >= 0 && var.spot_share <= 1
    error_message = "spot_share is 0 to 1."
  }
}

variable "autoscaling" {
  description = "Between how many tasks, by what: CPU (percent), requests a minute and task (with module edge's alb_request_label), or the age of the oldest message (seconds) in any of queue_names. Null: desired_count tasks."
  type = object({
    min                 = number
    max                 = number
    cpu_percent         = optional(number)
    requests_per_target = optional(number)
    alb_request_label   = optional(string)
    queue_names         = optional(list(string), [])
    queue_age_seconds   = optional(number)
  })
  default = null

  validation {
    condition     = var.autoscaling == null || try(var.autoscaling.min <= var.autoscaling.max, false)
    error_message = "autoscaling.min is at most autoscaling.max."
  }

  validation {
    condition     = try(var.autoscaling.queue_age_seconds, null) == null || try(length(var.autoscaling.queue_names) > 0, false)
    error_message = "autoscaling.queue_age_seconds needs queue_names."
  }

  validation {
    condition     = try(var.autoscaling.requests_per_target, null) == null || try(var.autoscaling.alb_request_label, null) != null
    error_message = "autoscaling.requests_per_target needs alb_request_label."
  }
}

variable "schedule" {
  description = "When a job starts: cron(…) or rate(…), as EventBridge's Scheduler writes it. Null: a service, which always runs."
  type        = string
  default     = null

  validation {
    condition     = var.schedule == null || can(regex("^(cron|rate)\\(.+\\)$", var.schedule))
    error_message = "schedule is cron(…) or rate(…)."
  }
}

variable "schedule_timezone" {
  description = "Time zone of the schedule."
  type        = string
  default     = "Etc/UTC"
}

variable "target_group_arn" {
  description = "Target group of a load balancer that sends requests to `port`; null: none."
  type        = string
  default     = null
}

variable "port" {
  description = "Port that the process listens on; null: none."
  type        = number
  default     = null
}

variable "health_check" {
  description = "Command by which ECS asks the container whether it is well, in ECS's form ([\"CMD\", …]); null: none."
  type = object({
    command          = list(string)
    interval_seconds = optional(number, 30)
    timeout_seconds  = optional(number, 10)
    retries          = optional(number, 3)
    start_seconds    = optional(number, 120)
  })
  default = null
}

variable "health_check_grace_seconds" {
  description = "Seconds after a task's start in which the load balancer's word on it does not count: it loads the model."
  type        = number
  default     = 180
}

variable "stop_timeout_seconds" {
  description = "Seconds between SIGTERM and SIGKILL (Fargate: 120 at most); longer than DRAIN_SECONDS and what ends after it."
  type        = number
  default     = 60

  validation {
    condition     = var.stop_timeout_seconds >= 2 && var.stop_timeout_seconds <= 120
    error_message = "stop_timeout_seconds is 2 to 120."
  }
}

variable "writable_paths" {
  description = "Folders that the process may write. The image must declare each a VOLUME that its user owns: Fargate takes owner and mode from there."
  type        = list(string)
  default     = ["/tmp"]
}

variable "discovery_namespace_id" {
  description = "Private DNS namespace in which tasks register as <service>.<namespace>; null: nowhere."
  type        = string
  default     = null
}

variable "metrics" {
  description = "A collector beside the process: its image (AWS's OpenTelemetry collector), the port of 127.0.0.1 whose /metrics it reads, and the log group that it writes to. Null: none."
  type = object({
    image          = string
    port           = number
    log_group_name = string
  })
  default = null

  validation {
    condition     = var.metrics == null || can(regex("@sha256:[0-9a-f]{64}$", var.metrics.image))
    error_message = "metrics.image ends with its digest, @sha256:…."
  }
}
