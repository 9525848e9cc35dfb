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

variable "vpc_id" {
  description = "The VPC that the tasks run in."
  type        = string
}

variable "vpc_cidr" {
  description = "Addresses of the VPC, to which tasks may speak on the ports of PostgreSQL, Valkey and MLflow."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr))
    error_message = "vpc_cidr is an IPv4 block, such as 10.20.0.0/16."
  }
}

variable "private_subnet_ids" {
  description = "Subnets without addresses of the internet."
  type        = list(string)
}

variable "public_subnet_ids" {
  description = "Subnets with a route from the internet; used for workers only, and only where worker_subnets says so."
  type        = list(string)
}

variable "worker_subnets" {
  description = "Where workers and the scheduler run, which must reach Flickr: `private` behind a NAT, or `public` with addresses of their own (no NAT to pay for; nothing may connect to them either way)."
  type        = string
  default     = "private"

  validation {
    condition     = contains(["private", "public"], var.worker_subnets)
    error_message = "worker_subnets is private or public."
  }
}

variable "logs_key_arn" {
  description = "ARN of the KMS key that encrypts logs; its policy must allow CloudWatch Logs."
  type        = string
}

variable "retention_days" {
  description = "Days that logs are kept. They name users: no longer than an operator needs."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365], var.retention_days)
    error_message = "retention_days is one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365."
  }
}
