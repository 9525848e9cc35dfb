variable "name" {
  description = "Name of the deployment, the beginning of every name in it, such as photo-recommender-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,31}$", var.name))
    error_message = "name is 3 to 32 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "image_hosts" {
  description = "Where pictures may come from, as the setting IMAGE_HOSTS has it."
  type        = list(string)
  default     = ["https://live.staticflickr.com", "https://*.staticflickr.com"]
}
