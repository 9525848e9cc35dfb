variable "region" {
  description = "Region of the state's bucket; the environments may be in others."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is one of AWS, such as eu-central-1."
  }
}

variable "bucket" {
  description = "Name of the state's bucket, which nobody else in the world may have: bootstrap.sh takes one with the account's number."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket is 3 to 63 lower-case letters, digits and hyphens, with none at the ends."
  }
}
