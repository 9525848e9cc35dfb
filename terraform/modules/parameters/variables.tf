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

variable "settings" {
  description = "Settings that are no secrets: full name of the environment variable to its value. Only what differs from the default."
  type        = map(string)

  validation {
    condition     = alltrue([for name in keys(var.settings) : can(regex("^PHOTO_RECOMMENDER_[A-Z_]+$", name))])
    error_message = "settings are named by their environment variables, PHOTO_RECOMMENDER_…"
  }

  validation {
    condition     = alltrue([for value in values(var.settings) : length(value) > 0])
    error_message = "Parameter Store takes no empty values: leave a setting away to have its default."
  }
}

variable "secret_settings" {
  description = "Full names of the settings whose values are secrets, put in by hand."
  type        = set(string)
  default = [
    "PHOTO_RECOMMENDER_API_KEY",
    "PHOTO_RECOMMENDER_ERASURE_KEY",
    "PHOTO_RECOMMENDER_FLICKR_SECRET",
    "PHOTO_RECOMMENDER_TOKEN_KEYS",
  ]

  validation {
    condition     = alltrue([for name in var.secret_settings : can(regex("^PHOTO_RECOMMENDER_[A-Z_]+$", name))])
    error_message = "secret_settings are named by their environment variables, PHOTO_RECOMMENDER_…"
  }
}

variable "secrets_key_arn" {
  description = "ARN of the KMS key that encrypts secrets."
  type        = string
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
