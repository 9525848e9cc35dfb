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

variable "enabled" {
  description = "Make it. Off, the module makes nothing."
  type        = bool
  default     = false
}

variable "image_uri" {
  description = "EMR's Spark image with this package in it (docs/operator.md, Training on Spark), in this account's registry. Needed when enabled."
  type        = string
  default     = null

  validation {
    condition     = !var.enabled || var.image_uri != null
    error_message = "image_uri is needed when enabled."
  }
}

variable "repository_name" {
  description = "Name of that image's repository, which EMR Serverless is allowed to pull from. Needed when enabled."
  type        = string
  default     = null

  validation {
    condition     = !var.enabled || var.repository_name != null
    error_message = "repository_name is needed when enabled."
  }
}

variable "release_label" {
  description = "Release of EMR, the same as the image's; Spark 3.5 or newer."
  type        = string
  default     = "emr-7.9.0"
}

variable "architecture" {
  description = "Processor of the image: ARM64 or X86_64."
  type        = string
  default     = "ARM64"

  validation {
    condition     = contains(["ARM64", "X86_64"], var.architecture)
    error_message = "architecture is ARM64 or X86_64."
  }
}

variable "bucket_arns" {
  description = "ARNs of the buckets; `lake` and `artifacts` are used."
  type        = map(string)
}

variable "lake_prefix" {
  description = "Prefix of the lake in its bucket."
  type        = string
  default     = "lake"
}

variable "data_key_arn" {
  description = "ARN of the KMS key that encrypts lake and artifacts."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of driver and executors."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of driver and executors; the workers' lets them reach MLflow."
  type        = list(string)
}

variable "maximum_cpu" {
  description = "The most cores of all jobs together, a bound of what a mistake costs."
  type        = number
  default     = 64
}

variable "maximum_memory_gib" {
  description = "The most GiB of memory of all jobs together."
  type        = number
  default     = 256
}

variable "maximum_disk_gib" {
  description = "The most GiB of disk of all jobs together."
  type        = number
  default     = 1000
}
