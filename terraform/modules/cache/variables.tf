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
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, two zones at least."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids are two at least, in different zones."
  }
}

variable "client_security_group_ids" {
  description = "Security groups that may connect, by a name of their own."
  type        = map(string)
}

variable "data_key_arn" {
  description = "KMS key of what the cache writes to disk."
  type        = string
}

variable "secrets_key_arn" {
  description = "KMS key of the password and of the address that holds it."
  type        = string
}

variable "logs_key_arn" {
  description = "KMS key of the log group."
  type        = string
}

variable "engine_version" {
  description = "Version of Valkey, major and minor."
  type        = string
  default     = "8.0"

  validation {
    condition     = can(regex("^8\\.[0-9]+$", var.engine_version))
    error_message = "engine_version is a version 8 of Valkey, such as 8.0: the parameter group is of that family."
  }
}

variable "node_type" {
  description = "Size of a node. Everything must fit: nothing is evicted."
  type        = string

  validation {
    condition     = can(regex("^cache\\.", var.node_type))
    error_message = "node_type is one of ElastiCache, such as cache.t4g.micro."
  }
}

variable "nodes" {
  description = "One, or a primary with replicas in other zones, which take over when it fails."
  type        = number

  validation {
    condition     = var.nodes >= 1 && var.nodes <= 6 && floor(var.nodes) == var.nodes
    error_message = "nodes is 1 to 6."
  }
}

variable "password_version" {
  description = "Raise it by one for a new password."
  type        = number
  default     = 1

  validation {
    condition     = var.password_version >= 1 && floor(var.password_version) == var.password_version
    error_message = "password_version is a whole number of 1 or more."
  }
}

variable "accept_previous_password" {
  description = "Whether the password before is still taken: set it with a new one, until every task has restarted."
  type        = bool
  default     = false
}

variable "recovery_window_in_days" {
  description = "Days for which a deleted secret can be restored; 0: none, for environments that come and go."
  type        = number
  default     = 30

  validation {
    condition     = var.recovery_window_in_days == 0 || (var.recovery_window_in_days >= 7 && var.recovery_window_in_days <= 30)
    error_message = "recovery_window_in_days is 0, or 7 to 30."
  }
}

variable "snapshot_days" {
  description = "Days for which daily snapshots are kept; 0: none. What the cache holds can be rebuilt from the lake."
  type        = number
  default     = 0

  validation {
    condition     = var.snapshot_days >= 0 && var.snapshot_days <= 35
    error_message = "snapshot_days is 0 to 35."
  }
}

variable "log_days" {
  description = "Days for which the log of slow commands is kept."
  type        = number
  default     = 30
}
