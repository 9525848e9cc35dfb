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
  description = "KMS key that encrypts the messages."
  type        = string
}

variable "priorities" {
  description = "The queues, first served first: the names of `Priority` in pipelines/queue/requests.py."
  type        = list(string)
  default     = ["person", "neighbor", "refresh", "anonymous"]

  validation {
    condition     = length(var.priorities) == length(distinct(var.priorities)) && !contains(var.priorities, "dead")
    error_message = "priorities are different names, and none is `dead`, the queue of dead letters."
  }
}

variable "lease_seconds" {
  description = "How long a worker holds a message without extending it, as PHOTO_RECOMMENDER_LEASE_SECONDS."
  type        = number
  default     = 120

  validation {
    condition     = var.lease_seconds >= 1 && var.lease_seconds <= 43200
    error_message = "lease_seconds is 1 to 43200 (12 hours), SQS's longest."
  }
}

variable "most_deliveries" {
  description = "After so many deliveries SQS itself buries a message: MAX_DELIVERIES in pipelines/queue/messages.py, one more than the code's attempts, so that the code buries first and says why."
  type        = number
  default     = 6

  validation {
    condition     = var.most_deliveries >= 1 && var.most_deliveries <= 1000
    error_message = "most_deliveries is 1 to 1000."
  }
}
