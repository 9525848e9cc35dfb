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
  description = "KMS key that encrypts the images."
  type        = string
}

variable "images_kept" {
  description = "Images kept of each repository, newest first; keep as many as you may want to go back to."
  type        = number
  default     = 50

  validation {
    condition     = var.images_kept >= 5 && floor(var.images_kept) == var.images_kept
    error_message = "images_kept is a whole number of 5 or more: the running image must be among them."
  }
}

variable "force_delete" {
  description = "Whether `terraform destroy` deletes repositories that hold images."
  type        = bool
  default     = false
}
