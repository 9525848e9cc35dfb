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

variable "protected" {
  description = "Whether what holds data refuses to be deleted: database, buckets, images, secrets."
  type        = bool
}

# Where

variable "cidr" {
  description = "Addresses of the VPC, /16 to /20."
  type        = string
}

variable "availability_zones" {
  description = "In how many availability zones there are subnets."
  type        = number
}

variable "nat" {
  description = "NAT gateways: `none`, `one` for all zones, or one in `each`. With `none`, worker_subnets is `public`."
  type        = string

  validation {
    condition     = var.nat != "none" || var.worker_subnets == "public"
    error_message = "nat is one or each where worker_subnets is private: tasks have to reach Flickr."
  }
}

variable "interface_endpoints" {
  description = "AWS services reached inside the VPC; null: all that tasks call."
  type        = set(string)
  default     = null
}

variable "worker_subnets" {
  description = "Subnets of the tasks: `private` behind NAT, or `public` with addresses of their own."
  type        = string
  default     = "private"
}

# What

variable "images" {
  description = "Images by digest: service, worker, mlflow. Empty, as before the first push: everything is made but the tasks."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(var.images) == 0 || length(setsubtract(["service", "worker", "mlflow"], keys(var.images))) == 0
    error_message = "images names service, worker and mlflow, or is empty."
  }
}

variable "architecture" {
  description = "Processor of the images: ARM64 or X86_64."
  type        = string
  default     = "ARM64"
}

variable "metrics_image" {
  description = "Image, by digest, of AWS's OpenTelemetry collector, which reads the processes' metrics; null: they are not read."
  type        = string
  default     = null
}

variable "flickr_key" {
  description = "Flickr's API key; its secret goes into Secrets Manager by hand."
  type        = string
}

variable "settings" {
  description = "Further settings, by environment variable (PHOTO_RECOMMENDER_…), that are no secrets."
  type        = map(string)
  default     = {}
}

variable "sizes" {
  description = "Of each kind of process: CPU units and MiB of a task; how many (min to max); the service's processes a task and the requests a minute it is meant for; the workers' share on Spot."
  type = object({
    service  = object({ cpu = number, memory = number, min = number, max = number, processes = number, requests_per_minute = number })
    worker   = object({ cpu = number, memory = number, min = number, max = number, spot_share = number })
    schedule = object({ cpu = number, memory = number, count = number })
    mlflow   = object({ cpu = number, memory = number })
    features = object({ cpu = number, memory = number })
    train    = object({ cpu = number, memory = number })
  })
}

variable "schedules" {
  description = "When jobs start, as EventBridge's Scheduler writes it: cron(…) or rate(…), in UTC."
  type = object({
    features = string
    train    = string
    compact  = string
  })
}

variable "database" {
  description = "Size of PostgreSQL, whether a standby takes over, days of backups."
  type        = object({ instance_class = string, storage_gib = number, multi_az = bool, backup_days = number })
}

variable "cache" {
  description = "Size and number of Valkey's nodes."
  type        = object({ node_type = string, nodes = number })
}

variable "log_days" {
  description = "Days for which logs are kept. They name users."
  type        = number
}

variable "emails" {
  description = "Addresses that alarms and the budget write to."
  type        = list(string)
}

variable "monthly_limit_usd" {
  description = "US dollars a month, of which the budget warns."
  type        = number
}

# The way in

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
  description = "How people sign in to MLflow at mlflow.<domain>: a Cognito user pool, and the networks that get that far. Null: MLflow is reached from within the VPC only."
  type = object({
    user_pool_arn       = string
    user_pool_client_id = string
    user_pool_domain    = string
    operator_cidrs      = list(string)
  })
  default = null
}

variable "price_class" {
  description = "Where CloudFront serves from: PriceClass_100, PriceClass_200, PriceClass_All."
  type        = string
  default     = "PriceClass_100"
}

variable "spark" {
  description = "EMR Serverless for trainings that are too large for one machine: the image and its repository; null: none."
  type        = object({ image_uri = string, repository_name = string })
  default     = null
}
