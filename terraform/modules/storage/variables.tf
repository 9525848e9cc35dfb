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

variable "data_key_arn" {
  description = "KMS key of the lake and the artifacts."
  type        = string
}

variable "site_distribution_arn" {
  description = "The CloudFront distribution that reads the bucket `site`."
  type        = string
}

variable "noncurrent_days" {
  description = "Days for which what was overwritten or deleted can be brought back. Erased users are in it until then."
  type        = number
  default     = 14

  validation {
    condition     = var.noncurrent_days >= 1
    error_message = "noncurrent_days is 1 or more."
  }
}

variable "log_days" {
  description = "Days for which access logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = var.log_days >= 1
    error_message = "log_days is 1 or more."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes buckets that hold objects, the lake among them."
  type        = bool
  default     = false
}
