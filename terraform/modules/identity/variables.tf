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

variable "bucket_arns" {
  description = "ARNs of the buckets; `lake` and `artifacts` are used."
  type        = map(string)

  validation {
    condition     = alltrue([for bucket in ["lake", "artifacts"] : contains(keys(var.bucket_arns), bucket)])
    error_message = "bucket_arns names lake and artifacts."
  }
}

variable "lake_prefix" {
  description = "Prefix of the lake in its bucket: LAKE_URI is s3://<bucket>/<lake_prefix>."
  type        = string
  default     = "lake"

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]+$", var.lake_prefix))
    error_message = "lake_prefix is one name, without slashes."
  }
}

variable "queue_arns" {
  description = "ARNs of the queues of pulls."
  type        = list(string)
}

variable "dead_letter_arns" {
  description = "ARNs of the queues of dead letters."
  type        = list(string)
}

variable "data_key_arn" {
  description = "ARN of the KMS key that encrypts lake, artifacts and queues."
  type        = string
}

variable "secrets_key_arn" {
  description = "ARN of the KMS key that encrypts secrets."
  type        = string
}

variable "setting_arns" {
  description = "ARNs of the parameters that tasks are started with, by environment variable."
  type        = map(string)
}

variable "secret_arns" {
  description = "ARNs of the secrets that tasks are started with, by environment variable."
  type        = map(string)
}

variable "extra_secret_arns" {
  description = "ARNs of further secrets that tasks are started with: the cache's URL, the database's password."
  type        = list(string)
  default     = []
}

variable "repository_arns" {
  description = "ARNs of the repositories of images."
  type        = map(string)
}

variable "extra_repository_arns" {
  description = "ARNs of further repositories, such as a copy of the metrics collector's image."
  type        = list(string)
  default     = []
}

variable "log_group_arns" {
  description = "ARNs of the log groups by kind of process, as module cluster gives them; `metrics` is the collectors'."
  type        = map(string)

  validation {
    condition     = contains(keys(var.log_group_arns), "metrics")
    error_message = "log_group_arns names metrics."
  }
}
