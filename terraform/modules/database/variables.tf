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
  description = "KMS key of storage, backups and Performance Insights."
  type        = string
}

variable "secrets_key_arn" {
  description = "KMS key of the master password's secret."
  type        = string
}

variable "logs_key_arn" {
  description = "KMS key of the log groups."
  type        = string
}

variable "engine_version" {
  description = "Major version of PostgreSQL; minor ones follow by themselves."
  type        = string
  default     = "17"

  validation {
    condition     = can(regex("^[0-9]{2}$", var.engine_version))
    error_message = "engine_version is a major version alone, such as 17."
  }
}

variable "instance_class" {
  description = "Size of the instance."
  type        = string

  validation {
    condition     = can(regex("^db\\.", var.instance_class))
    error_message = "instance_class is one of RDS, such as db.t4g.micro."
  }
}

variable "storage_gib" {
  description = "Storage to begin with; it grows by itself up to `most_storage_gib`."
  type        = number
  default     = 20

  validation {
    condition     = var.storage_gib >= 20
    error_message = "storage_gib is 20 or more, the least of gp3."
  }
}

variable "most_storage_gib" {
  description = "How far storage grows by itself."
  type        = number
  default     = 200

  validation {
    condition     = var.most_storage_gib > var.storage_gib
    error_message = "most_storage_gib is more than storage_gib."
  }
}

variable "multi_az" {
  description = "Whether a standby in another zone takes over when the instance fails."
  type        = bool
}

variable "deletion_protection" {
  description = "Whether the database can't be deleted, and leaves a last snapshot when it is."
  type        = bool
}

variable "backup_days" {
  description = "Days to any second of which the database can be restored."
  type        = number

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "backup_days is 1 to 35."
  }
}

variable "password_rotation_days" {
  description = "Days after which RDS makes a new master password. Tasks get the password when they start, so restart them after it."
  type        = number
  default     = 365

  validation {
    condition     = var.password_rotation_days >= 1 && var.password_rotation_days <= 1000
    error_message = "password_rotation_days is 1 to 1000."
  }
}

variable "slow_statement_ms" {
  description = "Statements that take longer are logged."
  type        = number
  default     = 500
}

variable "log_days" {
  description = "Days for which logs are kept."
  type        = number
  default     = 30
}
