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

variable "monthly_limit_usd" {
  description = "US dollars that a month may cost."
  type        = number

  validation {
    condition     = var.monthly_limit_usd > 0
    error_message = "monthly_limit_usd is more than 0."
  }
}

variable "emails" {
  description = "Addresses that are told."
  type        = list(string)

  validation {
    condition     = length(var.emails) > 0 && length(var.emails) <= 10
    error_message = "emails holds 1 to 10 addresses."
  }
}

variable "topic_arn" {
  description = "SNS topic that is told, too; its policy must allow budgets.amazonaws.com (module monitoring's does). Null: none."
  type        = string
  default     = null
}

variable "cost_tag" {
  description = "Tag, activated for cost allocation, whose value is `name` on every resource of the deployment. Null: all of the account counts."
  type        = string
  default     = null
}
