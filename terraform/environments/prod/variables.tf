variable "region" {
  description = "Region of the deployment."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is one of AWS, such as eu-central-1."
  }
}

variable "flickr_key" {
  description = "Flickr's API key; its secret goes into Secrets Manager by hand."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{32}$", var.flickr_key))
    error_message = "flickr_key is the 32 hexadecimal digits that Flickr's App Garden shows."
  }
}

variable "emails" {
  description = "Addresses that alarms and the budget write to."
  type        = list(string)

  validation {
    condition     = length(var.emails) > 0
    error_message = "emails holds one address at least: an alarm that nobody gets is none."
  }
}

variable "monthly_limit_usd" {
  description = "US dollars a month, of which the budget warns."
  type        = number
}

variable "images" {
  description = "Images by digest: service, worker, mlflow; deploy/deploy.sh gives them. Empty, as before the first push: everything is made but the tasks."
  type        = map(string)
  default     = {}
}

variable "metrics_image" {
  description = "Image, by digest, of AWS's OpenTelemetry collector; null: the processes' own metrics are not read, and their alarms stay silent."
  type        = string
  default     = null
}

variable "domain" {
  description = "The site's name, such as photos.example.org; \"\": CloudFront's own."
  type        = string
  default     = ""
}

variable "zone_id" {
  description = "Hosted zone of Route 53 in which the domain is; needed with one."
  type        = string
  default     = null
}

variable "mlflow_login" {
  description = "How people sign in to MLflow at mlflow.<domain>: a Cognito user pool, and the networks (VPN) that get that far; null: MLflow is reached from within the VPC only."
  type = object({
    user_pool_arn       = string
    user_pool_client_id = string
    user_pool_domain    = string
    operator_cidrs      = list(string)
  })
  default = null
}

variable "settings" {
  description = "Further settings by environment variable (PHOTO_RECOMMENDER_…), such as PHOTO_RECOMMENDER_ALS_FACTORS; no secrets."
  type        = map(string)
  default     = {}
}

variable "spark" {
  description = "EMR Serverless for trainings that are too large for one machine: the image and its repository; null: none."
  type        = object({ image_uri = string, repository_name = string })
  default     = null
}
